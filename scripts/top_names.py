"""An import contract of our own: no room imports the names of `stepdistill` itself.

They stand for both halves: a room that imported them would know the other half.
"""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output

# import-linter finds a package by its spec, and ours lies in three folders: once it is imported
# its spec names them all, and this module is loaded before the graph is built.
import stepdistill


class TopNamesContract(Contract):
    """Nobody imports the package itself."""

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        importers = sorted(graph.find_modules_that_directly_import(stepdistill.__name__))
        return ContractCheck(kept=not importers, metadata={"importers": importers})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for importer in check.metadata["importers"]:
            output.print_error(f"{importer} imports {stepdistill.__name__} itself")
