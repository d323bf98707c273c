"""Published ranking models: one YAML file each (or for each family), and what reads these files.

A file holds all that tamis knows of the model: its names on the hub, its prompt, its label tokens, its limits, its
licence, its shape, and the pipeline it was published with. `tamis.compute` takes the shape, `tamis.prompts` the prompt,
`tamis.stage` the pipeline and `tamis.recipes` the rest. A package imports only what is below it, so the files are below
all of these. The reader checks which fields there are; what a field means is checked by the package that uses it.
"""
