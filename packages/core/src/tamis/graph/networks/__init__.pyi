from .adapter import Adapter as Adapter
from .base_network import Network as Network
from .ebcar import EBCAR as EBCAR
from .hybrank import HybRank as HybRank
from .network import GRAG as GRAG
