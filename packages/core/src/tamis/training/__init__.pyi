from .graph import train_graph as train_graph
from .report import TrainingReport as TrainingReport
