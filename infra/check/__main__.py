"""`python -m infra.check`: what is wrong with the Bicep files, one line each."""

import sys

from infra.check.rules import INFRA, check, deployments


def main() -> None:
    if problems := check():
        sys.exit("\n".join(problems))
    n_files = len(list(INFRA.rglob("*.bicep")))
    n_resources = max(len(each.resources) for each in deployments())
    print(f"{n_files} files, up to {n_resources} resources: nothing that these rules know is wrong")


if __name__ == "__main__":
    main()
