"""Builds libimagxp with cargo and puts it into the wheel; puts its sources into the sdist.

The library is one shared object that needs nothing but memcpy and its like from the program that loads it: no libc is
named in it, so that the same file is good for glibc and musl.
"""

import os
import re
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = [
    "core/src",
    "ffi/Cargo.toml",
    "ffi/build.rs",
    "ffi/src",
    "ffi/symbols.txt",
    "include",
    "tools/prelink.sh",
    "Cargo.lock",
    "LICENSE-APACHE",
    "LICENSE-MIT",
]
FLAGS = ["-z,relro", "-z,now", "-z,noexecstack", "-z,text", "-z,undefs", "--gc-sections", "--build-id=sha1", "--whole-archive"]


class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        here = Path(self.root)
        # An unpacked sdist has the sources beside it; in the repository they lie two folders up.
        native = here / "native" if (here / "native").is_dir() else here.parents[1]
        if self.target_name == "sdist":
            return self.add_sources(native, build_data)
        library = here / "src/imagxp/libimagxp.so"
        build(native, library)
        machine = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        platform = os.environ.get("IMAGXP_WHEEL_PLATFORM", machine)
        build_data["tag"] = f"py3-none-{platform}"
        build_data["pure_python"] = False
        build_data["force_include"][str(library)] = "imagxp/libimagxp.so"
        for name in ("LICENSE-APACHE", "LICENSE-MIT"):
            build_data["force_include"][str(native / name)] = f"imagxp/{name}"

    def add_sources(self, native, build_data):
        for name in SOURCES:
            build_data["force_include"][str(native / name)] = f"native/{name}"
        # The workspace without its other members, the core without its tests.
        workspace = (native / "Cargo.toml").read_text()
        workspace = re.sub(r"^members = \[[^]]*\]", 'members = ["core", "ffi"]', workspace, flags=re.MULTILINE)
        workspace = re.sub(r"^exclude = \[[^]]*\]\n", "", workspace, flags=re.MULTILINE)
        core = (native / "core/Cargo.toml").read_text()
        core = re.sub(r"^(\[dev-dependencies\]|\[\[\w+\]\])\n([^\[\n].*\n|\n)*", "", core, flags=re.MULTILINE)
        for name, text in (("Cargo.toml", workspace), ("core/Cargo.toml", core)):
            manifest = Path(self.directory) / "manifests" / name
            manifest.parent.mkdir(parents=True, exist_ok=True)
            manifest.write_text(text)
            build_data["force_include"][str(manifest)] = f"native/{name}"


def build(native, library):
    target = Path(os.environ.get("CARGO_TARGET_DIR", native / "target")).absolute()
    cargo = ["cargo", "rustc", "--profile", "library", "--package", "imagxp-ffi", "--crate-type", "staticlib"]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    subprocess.run(cargo, cwd=native, env=environment, check=True)
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([native / "tools/prelink.sh", target / "library/libimagxp.a", out], check=True)
        link = [os.environ.get("CC", "cc"), "-shared", "-nostdlib", "-Wl,-soname,libimagxp.so"]
        link += [f"-Wl,{flag}" for flag in FLAGS]
        subprocess.run([*link, "-o", library, f"{out}/libimagxp.a"], check=True)
    subprocess.run(["strip", "--strip-unneeded", library], check=True)
