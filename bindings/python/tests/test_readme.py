"""What the README promises, as it is written there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from imagxp import Agent

HERE = Path(__file__).parents[1]
README = (HERE / "README.md").read_text(encoding="utf-8")
BLOCKS, SHELL = (re.findall(rf"```{kind}\n(.*?)```", README, re.DOTALL) for kind in ("python", "sh"))


def block(word):
    return next(text for text in BLOCKS if word in text)


def test_three_lines_to_a_signed_request():
    keys = next(text for text in SHELL if "IMAGXP_PRIVATE_KEY" in text)
    lines = [line for line in block("from_env").splitlines() if line]
    assert len(lines) == 3
    python = Path(sys.executable).parent
    script = f"{keys}python - <<'END'\n{block('from_env')}END\n"
    environ = {**os.environ, "PATH": f"{python}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-ec", script], env=environ, check=True, capture_output=True, text=True, timeout=60)
    assert "x-imagxp-signature" in done.stdout


def test_a_wallet():
    exec(block("Wallet"), {})


def test_ten_lines_to_a_protected_app(serve, tmp_path):
    httpx = pytest.importorskip("httpx", reason="tested where FastAPI and uvicorn are installed")
    pytest.importorskip("fastapi", reason="tested where FastAPI and uvicorn are installed")
    text = block("FastAPI")
    assert len([line for line in text.splitlines() if line.strip()]) <= 10
    (tmp_path / "readme_app.py").write_text(text)
    command = ("python", "-m", "uvicorn", "--port", "{port}", "--log-level", "warning", "readme_app:app")
    server = serve(*command, PYTHONPATH=str(tmp_path))
    browser = {"User-Agent": "Mozilla/5.0", "Accept-Language": "en", "Sec-Fetch-Dest": "document"}
    assert httpx.get(f"{server.origin}/a", headers=browser, trust_env=False).json() == {"hello": "agents and people"}
    assert httpx.get(f"{server.origin}/a", trust_env=False).status_code == 403
    forged = Agent.generate("bot.example.com").sign("https://evil.example.com/a", "SUMMARY")
    refused = httpx.get(f"{server.origin}/a", headers=forged, trust_env=False)
    assert refused.json()["error"] == "RESOURCE_MISMATCH"


def test_the_example():
    example = HERE / "examples/local.py"
    done = subprocess.run([sys.executable, example], check=True, capture_output=True, text=True, timeout=60)
    signed, again, unsigned = done.stdout.splitlines()
    assert signed.startswith("signed: 200 hello localhost:")
    assert "REPLAY_DETECTED" in again and "IDENTITY_REQUIRED" in unsigned
