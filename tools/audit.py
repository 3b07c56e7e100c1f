"""`make audit`: are there known vulnerabilities in what the service runs with?

pip-audit says "none" also where its database knows nothing of the packages, as behind a mirror of the index:
packages that it does not know are listed as not audited.
"""

import json
import subprocess
import sys
from typing import Any

from tests.support.running import ROOT

COMMAND = ["-m", "pip_audit", "--requirement", "requirements.txt", "--require-hashes", "--disable-pip"]
QUIETLY = ["--progress-spinner", "off", "--format", "json"]
UNREACHABLE = "The database of known vulnerabilities could not be reached: nothing was audited."


def verdict(report: str, complaint: str) -> tuple[int, str]:
    """An exit code and what to say, from what pip-audit wrote to its output and to its errors."""
    if not report:
        away = "requests.exceptions.ConnectionError" in complaint or "Max retries exceeded" in complaint
        return (0, UNREACHABLE) if away else (1, complaint)
    packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if len(unknown) == len(packages):
        return 0, UNREACHABLE
    bad = [f"{p['name']} {p['version']}: {v['id']}{_remedy(v)}" for p in packages for v in p.get("vulns", [])]
    said = [*bad, f"{len(packages) - len(unknown)} packages audited, {len(bad)} known vulnerabilities."]
    if unknown:
        said.append(f"Not in the database, so not audited: {', '.join(unknown)}")
    return int(bool(bad)), "\n".join(said)


def _remedy(vulnerability: dict[str, Any]) -> str:
    fixed = ", ".join(vulnerability["fix_versions"])
    return f" (fixed in {fixed})" if fixed else ""


if __name__ == "__main__":
    ran = subprocess.run([sys.executable, *COMMAND, *QUIETLY], cwd=ROOT, capture_output=True, text=True, check=False)
    code, said = verdict(ran.stdout, ran.stderr)
    print(said)
    sys.exit(code)
