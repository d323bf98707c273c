"""What the packages for LangChain, LlamaIndex and Haystack share. Nothing here imports a framework."""
