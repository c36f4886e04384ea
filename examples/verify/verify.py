#!/usr/bin/env python3
"""Verifies a recording of Sluice, or an evidence file, from public keys up.

A second implementation, written from docs/formats/ alone (log.md, session.md, journal.md, evidence.md), so that nobody has
to take the word of the program that wrote the recording. It needs Python 3.11 with its standard library, and of Debian 12:

    apt install python3-cryptography zstd        (or python3-zstandard instead of the zstd command)

    verify.py PATH --key VKEY [--witness VKEY]... [--witnesses-needed N] [--session ID] [--since FILE]
              [--master-key FILE] [--json]

PATH is a data directory, or a copy of one, or an evidence file. Exit code 0: proved. 1: it is not, and the places say where.
3: nothing is wrong, and the session that was asked for is not sealed yet. 2: wrong usage.
"""
import argparse
import base64
import binascii
import bisect
import errno
import hashlib
import hmac
import json
import os
import re
import stat
import struct
import subprocess
import sys
import unicodedata
import zlib
from datetime import datetime, timezone

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NOTE_MAX = 131_072
BUNDLE_MAX = 256 * (2 + 65_535)
CHUNK_MAX = 150_994_944
EVIDENCE_MAX = 256 * 1024 * 1024
SAFE = 2**53
SINCE = "the checkpoint given with --since"
EVIDENCE = "the evidence file"
SESSION_ID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")


class Bad(Exception):
    """Something is not of its form."""


class Failures:
    def __init__(self):
        self.kept = {}

    def add(self, code, path, why, **place):
        place = {name: value for name, value in place.items() if value is not None}
        key = (code, path, place.get("entry"), place.get("session"), place.get("sequence"))
        self.kept.setdefault(key, {"code": code, "path": path, "why": why, **place})

    def __len__(self):
        return len(self.kept)

    def listed(self):
        """Those of the log first, then those of files, by path."""
        found = list(self.kept.values())
        files = [each for each in found if each["path"].startswith("sessions/")]
        return [each for each in found if each not in files] + sorted(files, key=lambda each: each["path"])


# ---- hashes and trees: log.md, "The tree"


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf(entry):
    return sha256(b"\x00", entry)


def node(left, right):
    return sha256(b"\x01", left, right)


class Tree:
    """Grows leaf by leaf; keeps the full subtrees that its size has bits for."""

    def __init__(self):
        self.size, self.subtrees = 0, []

    def append(self, digest):
        rest = self.size
        while rest % 2 == 1:
            digest, rest = node(self.subtrees.pop(), digest), rest // 2
        self.subtrees.append(digest)
        self.size += 1

    def copy(self):
        other = Tree()
        other.size, other.subtrees = self.size, list(self.subtrees)
        return other

    def root(self):
        if not self.subtrees:
            return sha256(b"")
        digest = self.subtrees[-1]
        for left in reversed(self.subtrees[:-1]):
            digest = node(left, digest)
        return digest


def root_of(hashes):
    tree = Tree()
    for each in hashes:
        tree.append(each)
    return tree.root()


def is_included(index, size, digest, root, proof):
    """RFC 9162 section 2.1.3.2."""
    if not 0 <= index < size or any(len(each) != 32 for each in proof):
        return False
    at, last = index, size - 1
    for other in proof:
        if last == 0:
            return False
        if at % 2 == 1 or at == last:
            digest = node(other, digest)
            while at % 2 == 0 and at != 0:
                at, last = at // 2, last // 2
        else:
            digest = node(digest, other)
        at, last = at // 2, last // 2
    return last == 0 and digest == root


# ---- keys, notes and checkpoints: log.md, "Keys", "Signed notes and checkpoints"


def b64(text):
    if not isinstance(text, str):
        raise Bad("base 64 is missing")
    try:
        found = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise Bad("it is not base 64") from error
    if base64.b64encode(found).decode() != text:
        raise Bad("it is not base 64 in its one spelling")
    return found


class Key:
    def __init__(self, text):
        name, _, rest = text.partition("+")
        ident, _, encoded = rest.partition("+")
        data = b64(encoded)
        if not is_name(name) or len(data) != 33 or data[0] not in (1, 4):
            raise Bad("this is no public key of a log or witness")
        self.text, self.name, self.type, self.public = text, name, data[0], data[1:]
        self.id = sha256(name.encode(), b"\n", data)[:4]
        if self.id.hex() != ident:
            raise Bad("this is no public key of a log or witness")

    def signed(self, text, signature):
        """None, or the time of a cosignature, or 0."""
        seconds, message = 0, text
        if self.type == 4:
            if len(signature) != 72:
                return None
            seconds, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            message = f"cosignature/v1\ntime {seconds}\n{text}"
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message.encode())
        except InvalidSignature:
            return None
        return seconds


def is_name(name):
    clean = all(not each.isspace() and unicodedata.category(each) != "Cc" for each in name)
    return 0 < len(name.encode()) <= 255 and clean and "+" not in name


class Claim:
    """A checkpoint that somebody says was signed: read, and not believed yet."""

    def __init__(self, path, data):
        self.path, self.data = path, data
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Bad("a signed note is not UTF-8") from error
        end = text.rfind("\n\n")
        if end < 0 or re.search(r"[\x00-\x09\x0b-\x1f]", text):
            raise Bad("this is no signed note")
        self.text, lines = text[: end + 1], text[end + 2 :]
        if not lines.endswith("\n"):
            raise Bad("a signed note has no signature")
        self.signatures = []
        for line in lines[:-1].split("\n"):
            parts = line.split(" ")
            if len(parts) != 3 or parts[0] != "\u2014" or not is_name(parts[1]):
                raise Bad("a signature line is none")
            signature = b64(parts[2])
            if len(signature) <= 4:
                raise Bad("a signature line is none")
            self.signatures.append((parts[1], signature[:4], signature[4:]))
        if len(self.signatures) > 64:
            raise Bad("a note has too many signatures")
        lines = self.text[:-1].split("\n")
        if len(lines) < 3 or "" in lines:
            raise Bad("this is no checkpoint")
        self.origin, self.root = lines[0], b64(lines[2])
        if not re.fullmatch(r"0|[1-9][0-9]{0,15}", lines[1]) or int(lines[1]) >= SAFE or len(self.root) != 32:
            raise Bad("this is no checkpoint")
        self.size = int(lines[1])

    def names(self, keys):
        return any(name == key.name and ident == key.id for key in keys for name, ident, _ in self.signatures)

    def signers(self, keys):
        """Keys that signed, with their times; none when one is named that did not sign this."""
        found = {}
        for name, ident, signature in self.signatures:
            key = next((each for each in keys if each.name == name and each.id == ident), None)
            if key is None:
                continue
            seconds = key.signed(self.text, signature)
            if seconds is None:
                return {}
            found.setdefault(key, seconds)
        return found

    def log_signers(self, keys, origin):
        mine = [key for key in keys if key.type == 1 and key.name == origin]
        return list(self.signers(mine)) if self.origin == origin else []


# ---- where everything lies


class Source:
    def __init__(self, root):
        self.root = root

    def open(self, path):
        """A regular file; follows no link, and waits for no writer of a pipe."""
        try:
            number = os.open(os.path.join(self.root, *path.split("/")), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENXIO):
                raise
            raise Bad("it is no regular file") from error
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise Bad("it is no regular file")
        return os.fdopen(number, "rb")

    def read(self, path, limit):
        file = self.open(path)
        if file is None:
            return None
        with file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise Bad("it is longer than it may be")
        return data

    def list(self, path):
        """The names in a folder. `log`, `journal` and `sessions` may lie on another disk; nothing in them may."""
        folder = os.path.join(self.root, *path.split("/"))
        try:
            mode = os.lstat(folder).st_mode
            if not stat.S_ISDIR(mode) and ("/" in path or not stat.S_ISLNK(mode)):
                raise Bad("it is no folder")
            return sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []


def number_path(number):
    digits = str(number)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join(["x" + each for each in groups[:-1]] + groups[-1:])


def piece_path(kind, number, width):
    return f"log/tile/{kind}/{number_path(number)}" + ("" if width == 256 else f".p/{width}")


class Tiles:
    """Reads the log from its first entry to its last; says where entries, tiles and the signed root do not agree."""

    def __init__(self, source, head, failures):
        self.source, self.size, self.root, self.failures = source, head.size, head.root, failures
        self.tree, self.tiles, self.edge, self.longer = Tree(), {}, False, False

    def width(self, level, index):
        return min(256, self.size // 256**level - index * 256)

    def piece(self, kind, index, width, limit):
        """(bytes, how many hashes or entries they are by their name), or None."""
        for each in dict.fromkeys((width, 256)):
            data = self.source.read(piece_path(kind, index, each), limit)
            if data is not None:
                return data, each
        return None

    def hashes(self, level, index):
        """The hashes of a tile, unverified; None where there is none. Raises Bad."""
        width = self.width(level, index)
        found = self.piece(level, index, width, 8192)
        if found is None:
            return None
        data, named = found
        if len(data) > named * 32:
            raise Bad("a tile of the log has more hashes than its name says")
        if len(data) % 32 or len(data) < width * 32:
            raise Bad("a tile of the log is cut off")
        return [data[at : at + 32] for at in range(0, width * 32, 32)]

    def edge_root(self):
        """The root by the last tiles of all levels."""
        tree, at = [], 0
        for height in range(52, -1, -1):
            if self.size >> height & 1:
                level, count = height // 8, 2 ** (height % 8)
                first = at >> (8 * level)
                hashes = self.hashes(level, first // 256)
                if hashes is None:
                    raise Bad("a tile is missing")
                tree.append(root_of(hashes[first % 256 : first % 256 + count]))
                at += 1 << height
        digest = tree.pop() if tree else sha256(b"")
        while tree:
            digest = node(tree.pop(), digest)
        return digest

    def guarded(self, path, entry, work):
        try:
            found = work()
        except Bad as error:
            self.failures.add("damaged", path, str(error), entry=entry)
            return None
        if found is None:
            self.failures.add("missing", path, "a log of this size must have it", entry=entry)
        return found

    def tile(self, level, index):
        """(path, hashes, whether they are what the tree above asks for), or None."""
        if self.tiles.get(level, (None,))[0] == index:
            return self.tiles[level][1]
        path = piece_path(level, index, self.width(level, index))
        hashes = self.guarded(path, None, lambda: self.hashes(level, index))
        found = None if hashes is None else (path, hashes, self.is_sound(level, index, path, hashes))
        self.tiles[level] = (index, found)
        return found

    def is_sound(self, level, index, path, hashes):
        if len(hashes) < 256:
            return self.edge
        above = self.tile(level + 1, index // 256)
        if above is None:
            return False
        if above[1][index % 256] == root_of(hashes):
            return above[2]
        self.failures.add("tile", path if above[2] else above[0], "a tile is not the one that the tree above it asks for")
        return False

    def entries(self, index):
        width = self.width(0, index)
        piece = self.piece("entries", index, width, BUNDLE_MAX)
        if piece is None:
            return None
        data, named = piece
        found, at = [], 0
        while at < len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            if at + 2 > len(data) or end > len(data):
                raise Bad("a bundle of entries of the log is cut off")
            found.append(data[at + 2 : end])
            at = end
        self.longer = len(found) > named
        return found[:width]

    def chosen(self, tile, leaves, width):
        if tile is None or leaves is None or len(leaves) != width:
            return tile[1] if tile else leaves
        if tile[1] == leaves:
            return leaves
        if tile[2]:
            return tile[1]
        if width == 256:
            above = self.tiles.get(1, (None, None))[1]
            at = self.tree.size // 256 % 256
            return leaves if above and at < len(above[1]) and above[1][at] == root_of(leaves) else tile[1]
        tree = self.tree.copy()
        for each in leaves:
            tree.append(each)
        return leaves if tree.root() == self.root else tile[1]

    def walk(self, roots):
        """Gives (path, number, entry or None); puts the root of each size in `roots` there."""
        try:
            self.edge = self.edge_root() == self.root
        except Bad:
            self.edge = False
        self.note(roots)
        for index in range(-(-self.size // 256)):
            width, first = self.width(0, index), index * 256
            path = piece_path("entries", index, width)
            tile = self.tile(0, index)
            entries = self.guarded(path, first, lambda: self.entries(index))
            leaves = None if entries is None else [leaf(each) for each in entries]
            chosen = self.chosen(tile, leaves, width)
            if chosen is None:
                return
            wrong = set()
            if leaves is not None:
                wrong = {at for at, each in enumerate(chosen) if at >= len(leaves) or leaves[at] != each}
            if wrong:
                self.failures.add("entry", path, "an entry is not the one that was signed", entry=first + min(wrong))
            if tile and chosen is leaves and tile[1] != leaves:
                self.failures.add("tile", tile[0], "a tile has other hashes than its entries")
            elif tile and not tile[2] and self.edge and leaves is not None:
                self.failures.add("entry", path, "entries are not those that were signed", entry=first)
            elif not wrong and entries is not None and self.longer:
                self.failures.add("damaged", path, "a bundle has more entries than its name says", entry=first)
            for each in chosen:
                self.tree.append(each)
                self.note(roots)
            for at in range(len(chosen)):
                yield path, first + at, None if entries is None or at in wrong else entries[at]
        if self.tree.root() != self.root:
            self.failures.add("root", "log/checkpoint", "the entries of the log do not come to the root that was signed")

    def note(self, roots):
        if self.tree.size in roots:
            roots[self.tree.size] = self.tree.root()


# ---- entries: log.md, "Entries"; frames: session.md, "The public part"


def u32(data, at):
    return int.from_bytes(data[at : at + 4], "little")


def u64(data, at):
    return int.from_bytes(data[at : at + 8], "little")


def count(value):
    # 1.0 and 1e0 are whole numbers as well.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < SAFE:
        raise Bad("a number is missing")
    return value


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def session_of(value):
    if not isinstance(value, str) or not SESSION_ID.match(value):
        raise Bad("an entry names no session")
    return value


def as_object(value):
    if not isinstance(value, dict):
        raise Bad("what should be an object is none")
    return value


def parsed(data):
    """JSON that every reader takes for the same: evidence.md, "JSON"."""
    try:
        text = data.decode("utf-8")
        hooks = {"parse_int": number_of(int), "parse_float": number_of(float), "parse_constant": refused}
        value = json.loads(text, object_pairs_hook=object_of, **hooks)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Bad("it is not JSON") from error
    level, depth = [value], 0
    while level:
        level = [each for each in level if isinstance(each, (dict, list))]
        depth += bool(level)
        if depth > 64:
            raise Bad("it is too deep")
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
    if "\\u" in text and re.search("[\ud800-\udfff]", json.dumps(value, ensure_ascii=False)):
        raise Bad("it has a text that is no Unicode")
    return value


def number_of(kind):
    def read(text):
        if len(text.lstrip("-")) > 32:
            raise Bad("it has a number that is too long")
        return kind(text)

    return read


def refused(_):
    raise Bad("it is not JSON")


def object_of(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Bad("it has a name twice in one object")
    return found


def listed(value):
    if not isinstance(value, list):
        raise Bad("a list is missing")
    return value


def as_text(value):
    if not isinstance(value, str):
        raise Bad("a text is missing")
    return value


def exactly(value, *names):
    if set(as_object(value)) != set(names):
        raise Bad("an object has other fields than it may")
    return value


class Part:
    """A public part: its fixed fields."""

    def __init__(self, data):
        if len(data) < 24:
            raise Bad("a frame is too short")
        self.data, self.kind = data, data[0]
        self.head_end, self.sequence, self.time = 24 + u32(data, 4), u64(data, 8), u64(data, 16)
        if not 2 <= self.kind <= 11 or any(data[1:4]):
            raise Bad("a frame is of a kind that has no public part")
        if self.head_end > len(data) or self.sequence >= SAFE or self.time >= SAFE:
            raise Bad("a frame has an impossible length")

    def head(self):
        return as_object(parsed(self.data[24 : self.head_end]))

    def commitments(self):
        """(name, length, commitment) of each payload."""
        named = self.head().get("payloads", [])
        named = named if isinstance(named, list) else []
        if self.head_end + 32 * len(named) != len(self.data):
            raise Bad("a frame has not one commitment for each payload")
        found = []
        for i, each in enumerate(named):
            if not isinstance(each, list) or len(each) < 2 or not isinstance(each[0], str) or not is_number(each[1]):
                raise Bad("a frame names a payload that is none")
            at = self.head_end + 32 * i
            found.append((each[0], each[1], self.data[at : at + 32]))
        return found


def read_entry(data):
    entry = as_object(parsed(data))
    kind = entry.get("kind")
    if kind == "frame":
        session = session_of(entry["session"]) if "session" in entry else None
        if "part" in entry:
            return {"kind": kind, "session": session, "part": Part(b64(entry["part"]))}
        digest = b64(entry.get("digest"))
        if len(digest) != 32 or count(entry.get("bytes")) > 134_217_728:
            raise Bad("a digest is none")
        return {"kind": kind, "session": session, "part": None, "digest": digest}
    if kind in ("segment", "file"):
        found = {name: count(entry.get(name)) for name in ("first", "last", "frames")}
        width = found["last"] - found["first"] + 1
        if found["frames"] == 0 or width < found["frames"] or (found["frames"] == 1 and width != 1):
            raise Bad("a range does not have as many frames as it says")
        found |= {"kind": kind, "session": session_of(entry.get("session"))}
        if kind == "segment":
            found["root"] = b64(entry.get("root"))
            if len(found["root"]) != 32:
                raise Bad("a root has not 32 bytes")
        return found
    if kind == "through":
        return {"kind": kind, "sequence": count(entry.get("sequence")), "time": count(entry.get("time"))}
    if kind == "key" and isinstance(entry.get("vkey"), str):
        return {"kind": kind, "vkey": entry["vkey"]}
    raise Bad("an entry is of a kind that this verifier does not know")


def opened_at(session):
    ms = 0
    for each in session[:10]:
        ms = ms * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(each)
    return ms


def session_path(session):
    day = datetime.fromtimestamp(opened_at(session) / 1000, timezone.utc).strftime("%Y-%m-%d")
    return f"sessions/{day}/{session}.slr"


def removal(session, by, time, details):
    """What an entry `recording.removed` says; None where it names nothing."""
    sequence, payload, frames = details.get("sequence"), details.get("payload"), details.get("frames")
    if not isinstance(payload, str):
        return None
    if is_number(sequence):
        ranges = [(sequence, sequence)]
    elif isinstance(frames, str) and re.fullmatch(r"[0-9]{1,16}(-[0-9]{1,16})?(,[0-9]{1,16}(-[0-9]{1,16})?)*", frames):
        ends = [each.partition("-") for each in frames.split(",")]
        ranges = [(int(first), int(last or first)) for first, _, last in ends]
    else:
        return None
    why = {name: details[name] for name in ("because", "reason", "rule") if isinstance(details.get(name), str)}
    by = by if isinstance(by, str) else ""
    return {"session": session, "time": time, "by": by, "payload": payload, "frames": ranges} | why


def joined(ranges):
    """By their first frame, each going as far as any before it."""
    found, last = [], -1
    for first, end in sorted(ranges):
        last = max(last, end)
        found.append((first, last))
    return found


def is_in(ranges, sequence):
    at = bisect.bisect_right(ranges, (sequence, float("inf")))
    return at > 0 and ranges[at - 1][1] >= sequence


def removed_by(entry):
    """What an entry of the log says was removed; None for any other."""
    if entry["kind"] != "frame" or entry["session"] is not None or entry["part"] is None or entry["part"].kind != 10:
        return None
    try:
        head = entry["part"].head()
        if head.get("action") != "recording.removed" or not isinstance(head.get("target"), str):
            return None
        return removal(head["target"], head.get("by"), entry["part"].time, as_object(head.get("details")))
    except Bad:
        return None


class Account:
    def __init__(self):
        self.segments, self.frames, self.first, self.last = [], 0, None, None
        self.open = self.close = self.file = None


class Ledger:
    """Reads entries in their order, and says where one may not stand."""

    def __init__(self, failures, only):
        self.failures, self.only = failures, only
        self.accounts, self.deleted, self.keys = {}, set(), []
        self.removed, self.removals, self.furthest, self.by_session = {}, [], {}, {}
        self.through, self.through_time, self.last_admin, self.admin = -1, 0, -1, 0
        self.gaps, self.announced = [], set()

    def excuse(self, number, entry):
        if entry["kind"] == "key":
            self.announced.add(number)
        if entry["kind"] != "frame" or entry["session"] is not None or entry["part"] is None:
            return
        head = entry["part"].head()
        target = head.get("target")
        if not isinstance(target, str):
            return
        if head.get("action") == "recording.deleted":
            self.deleted.add(target)
        if head.get("action") == "recording.removed":
            said = removal(target, head.get("by"), entry["part"].time, as_object(head.get("details")))
            if said:
                self.removals.append(said)
                self.by_session.setdefault(target, []).append(said)
                self.removed.setdefault((target, said["payload"]), []).extend(said["frames"])

    def is_removed(self, session, sequence, payload):
        place = (session, payload)
        if place not in self.furthest:
            self.furthest[place] = joined(self.removed.get(place, []))
        return is_in(self.furthest[place], sequence)

    def of(self, session):
        return self.by_session.get(session, [])

    def add(self, number, path, entry):
        def fail(why, **place):
            self.failures.add("order", path, why, entry=number, **place)

        kind = entry["kind"]
        if kind == "through":
            if entry["sequence"] <= self.through:
                return fail("it goes no further than one before it")
            self.through, self.through_time = entry["sequence"], entry["time"]
            return None
        if kind == "key":
            self.keys.append((number, entry["vkey"], path))
            return None
        if kind == "frame" and entry["session"] is None:
            self.admin += 1
            part = entry["part"]
            if part is None:
                return None
            if part.kind != 10:
                return fail("a frame without a session is not an administrative one", sequence=part.sequence)
            if part.sequence <= max(self.last_admin, self.through):
                return fail("a frame is older than what stands before it", sequence=part.sequence)
            self.last_admin = part.sequence
            head = part.head()
            if head.get("action") == "recording.gap":
                details = as_object(head.get("details"))
                first, last = details.get("first"), details.get("last")
                if is_number(first) and is_number(last):
                    self.gaps.append((first, last, number, path))
            return None
        session = entry["session"]
        if self.only is not None and session != self.only:
            return None
        account = self.accounts.setdefault(session, Account())
        if kind == "frame":
            part = entry["part"]
            place = {"session": session, "sequence": part.sequence if part else None}
            if part and part.kind not in (2, 9):
                return fail("a frame of a session is neither an open nor a close", **place)
            if part and part.sequence <= self.through:
                return fail("a frame is older than what stands before it", **place)
            if part.kind == 2 if part else account.open is None:
                if account.open or account.frames:
                    return fail("a session is opened twice", **place)
                account.open = entry
            elif account.close:
                return fail("a session is closed twice", **place)
            else:
                account.close = entry
        elif kind == "segment":
            place = {"session": session, "sequence": entry["first"]}
            if account.open is None and not account.frames:
                return fail("a session begins without an open", **place)
            if entry["first"] <= max(-1 if account.last is None else account.last, self.through):
                return fail("a segment overlaps what stands before it", **place)
            account.first = entry["first"] if account.first is None else account.first
            account.last, account.frames = entry["last"], account.frames + entry["frames"]
            account.segments.append((number, entry))
        else:
            place = {"session": session, "sequence": entry["last"]}
            if (account.frames, account.first, account.last) != (entry["frames"], entry["first"], entry["last"]):
                return fail("a file is said to have other frames than the segments before it", **place)
            if account.file and account.file[1] >= entry["frames"]:
                return fail("a file is named twice", **place)
            account.file = (number, entry["frames"], len(account.segments))
        return None


# ---- session files: session.md


class Damage(Exception):
    def __init__(self, offset, why):
        super().__init__(why)
        self.offset = offset


def is_one_frame(data):
    """Whether these bytes are one zstd frame from the first to the last. RFC 8878 section 3.1.1."""
    if len(data) < 5 or data[:4] != b"\x28\xb5\x2f\xfd":
        return False
    single, size = data[4] & 0x20, (0, 2, 4, 8)[data[4] >> 6]
    if single and data[4] >> 6 == 0:
        size = 1
    at, last = 5 + (not single) + (0, 1, 2, 4)[data[4] & 3] + size, False
    while not last:
        if at + 3 > len(data):
            return False
        header = int.from_bytes(data[at : at + 3], "little")
        if header >> 1 & 3 == 3:
            return False
        last = header & 1
        at += 3 + (1 if header >> 1 & 3 == 1 else header >> 3)
    return at + (4 if data[4] & 4 else 0) == len(data)


def unzstd(data, size):
    """One zstd frame of just `size` bytes."""
    if not is_one_frame(data):
        raise Bad("it is not one zstd frame")
    try:
        import zstandard

        try:
            found = zstandard.ZstdDecompressor().stream_reader(data).read(size + 1)
        except zstandard.ZstdError as error:
            raise Bad("it cannot be decompressed") from error
    except ImportError:
        with subprocess.Popen(["zstd", "-dcq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
            # What is compressed is much smaller than a pipe in most files; a thread feeds it where it is not.
            import threading

            def feed():
                try:
                    run.stdin.write(data)
                    run.stdin.close()
                except BrokenPipeError:
                    pass

            feeder = threading.Thread(target=feed)
            feeder.start()
            found = run.stdout.read(size + 1)
            run.stdout.close()
            run.stderr.close()
            feeder.join()
            if run.wait() != 0 and len(found) <= size:
                raise Bad("it cannot be decompressed") from None
    if len(found) != size:
        raise Bad("it has another length when decompressed than it says")
    return found


def read_header(file):
    prefix = file.read(16)
    if prefix[:8] != b"SLUICER2":
        raise Damage(0, "this is no sealed session file")
    if len(prefix) < 16 or u32(prefix, 12) > 4096:
        raise Damage(0, "the header has an impossible length")
    text = file.read(u32(prefix, 12))
    if len(text) < u32(prefix, 12) or zlib.crc32(prefix[12:] + text) != u32(prefix, 8):
        raise Damage(0, "the checksum of the header is wrong")
    try:
        header = as_object(parsed(text))
        key = as_object(header.get("key"))
    except Bad as error:
        raise Damage(0, "the header cannot be read") from error
    fields = (header.get("session"), key.get("id"), key.get("wrapped"))
    if not all(isinstance(each, str) for each in fields):
        raise Damage(0, "the header cannot be read")
    return fields


def chunks(file):
    """(offset, the chunk as it is stored, its public part decompressed)"""
    number = 0
    while True:
        offset = file.tell()
        start = file.read(40)
        if not start:
            return
        if len(start) < 40 or start[:4] != b"SLC2":
            raise Damage(offset, "no chunk begins here")
        public, public_size, private, private_size = struct.unpack_from("<4I", start, 8)
        if max(public, public_size, private, private_size) > CHUNK_MAX or private < 16 or u32(start, 24) == 0:
            raise Damage(offset, "a chunk has an impossible length")
        if u32(start, 28) != number or u64(start, 32) >= SAFE:
            raise Damage(offset, "a chunk does not stand in its place")
        number += 1
        data = start + file.read(public + private)
        if len(data) < 40 + public + private:
            raise Damage(offset, "the file ends inside a chunk")
        if zlib.crc32(data[8:]) != u32(data, 4):
            raise Damage(offset, "the checksum of a chunk is wrong")
        try:
            yield offset, data, unzstd(data[40 : 40 + public], public_size)
        except Bad as error:
            raise Damage(offset, str(error)) from error


def frames_in(offset, data, public):
    at, found, first = 0, 0, u64(data, 32)
    while at < len(public):
        end = at + 4 + u32(public, at)
        if at + 4 > len(public) or end > len(public):
            raise Damage(offset, "a frame has an impossible length")
        try:
            part = Part(public[at + 4 : end])
        except Bad as error:
            raise Damage(offset, str(error)) from error
        if found == 0 and part.sequence != first:
            raise Damage(offset, "a chunk does not begin with the frame that its header names")
        yield part
        at, found = end, found + 1
    if found != u32(data, 24):
        raise Damage(offset, "a chunk has not as many frames as its header says")


class FileCheck:
    def __init__(self, failures, session, account, keys):
        self.failures, self.session, self.account, self.keys = failures, session, account, keys
        self.path, self.failed, self.removed, self.locked = session_path(session), False, [], True
        self.draft, self.last = False, -1

    def fail(self, code, why, **place):
        self.failed = True
        self.failures.add(code, self.path, why, session=self.session, **place)

    def opened(self, source):
        try:
            return source.open(self.path)
        except Bad as error:
            self.fail("damaged", str(error), offset=0)
            return None

    def run_draft(self, source, path):
        """The last frame that is there of what is not sealed yet: it may end anywhere."""
        self.path, self.draft, self.keys = path, True, {}
        file = self.opened(source)
        if file is None:
            return 0
        with file:
            try:
                self.read(file)
            except Damage:
                pass
        return max(self.last, 0)

    def run(self, source):
        """`missing`, `failed` or `proved`."""
        file = self.opened(source)
        if file is None:
            return "failed" if self.failed else "missing"
        with file:
            try:
                self.read(file)
            except Damage as error:
                self.fail("damaged", str(error), offset=error.offset)
        return "failed" if self.failed else "proved"

    def read(self, file):
        session, key_id, wrapped = read_header(file)
        if session != self.session:
            return self.fail("foreign", "the file is that of another session", offset=0)
        key = self.data_key(key_id, wrapped)
        segments, at, taken, tree = self.account.segments, 0, 0, Tree()
        for offset, data, public in chunks(file):
            parts = []
            for part in frames_in(offset, data, public):
                parts.append(part)
                if at == len(segments):
                    return self.failed or self.draft or self.fail("frames", "the file has frames that the log does not have", sequence=part.sequence)
                number, said = segments[at]
                misplaced = part.sequence <= self.last or part.sequence > said["last"]
                if misplaced or (taken == 0 and part.sequence != said["first"]):
                    return self.fail("frames", "the frames are not those that the log has", entry=number, sequence=part.sequence)
                self.boundary(part, self.last == -1)
                self.last, taken = part.sequence, taken + 1
                tree.append(leaf(part.data))
                if taken < said["frames"]:
                    continue
                if part.sequence != said["last"] or tree.root() != said["root"]:
                    self.fail("frames", "a frame is not the one that the log has", entry=number, sequence=said["first"])
                    if part.sequence != said["last"]:
                        return None
                at, taken, tree = at + 1, 0, Tree()
            if key:
                self.payloads(offset, data, parts, key)
        # Those that came after it was named may be in it, or not yet.
        if not self.draft and at < len(segments) and (at < self.account.file[2] or taken > 0):
            number, said = segments[at]
            self.fail("frames", "the file ends before its frames are whole", entry=number, sequence=said["first"])
        return None

    def boundary(self, part, is_first):
        if is_first and part.kind != 2:
            self.fail("frames", "the file does not begin with an open", sequence=part.sequence)
        if part.kind not in (2, 9):
            return
        said = self.account.open if part.kind == 2 else self.account.close
        same = said and (said["part"].data == part.data if said["part"] else said["digest"] == sha256(part.data))
        if not same:
            self.fail("frames", "an open or a close is not the one that the log has", sequence=part.sequence)

    # With a master key: journal.md, "Keys"; session.md, "The private part".

    def data_key(self, key_id, wrapped):
        master = self.keys.get(key_id)
        if master is None:
            return None
        self.locked = False
        recording = hkdf(master, b"sluice recording")
        try:
            data = b64(wrapped)
            if len(data) != 60:
                raise Bad("a wrapped key has another length")
            return AESGCM(recording).decrypt(data[:12], data[12:], self.session.encode())
        except (Bad, InvalidTag):
            self.fail("payload", "the wrapped key is not what was written there", offset=0)
            return None

    def payloads(self, offset, data, parts, key):
        public = u32(data, 8)
        nonce = bytes(8) + data[28:32]
        about = data[8 : 40 + public] + self.session.encode()
        try:
            private = unzstd(AESGCM(key).decrypt(nonce, data[40 + public :], about), u32(data, 20))
            at = 0
            for part in parts:
                for name, size, commitment in part.commitments():
                    if len(private) - at < 8:
                        raise Bad("a payload is missing")
                    state, length = u32(private, at), u32(private, at + 4)
                    at += 8
                    if state == 1 and length == 0:
                        self.removed.append((self.session, part.sequence, name))
                        continue
                    if state != 0 or at + 16 + length > len(private):
                        raise Bad("a payload has an impossible length")
                    salted = private[at : at + 16 + length]
                    at += 16 + length
                    if length != size or sha256(b"\x02", salted) != commitment:
                        self.fail("payload", f"{name} is not what was committed to", sequence=part.sequence)
            if at != len(private):
                raise Bad("a chunk has payloads that no frame names")
        except InvalidTag:
            self.fail("payload", "a chunk cannot be decrypted", offset=offset)
        except Bad as error:
            self.fail("payload", str(error), offset=offset)


class Restored(FileCheck):
    """What the log says was removed must not be there: evidence.md, "Verifying a recording"."""

    def __init__(self, failures, session, ledger, source, keys):
        super().__init__(failures, session, None, keys)
        self.gone = {}
        if not ledger.of(session):
            return
        try:
            beside = source.list(self.path.rpartition("/")[0])
        except Bad:
            beside = []
        begun = f"{session}.slr.new" in beside
        for each in ledger.of(session):
            if not begun or each["time"] < ledger.through_time - 60_000:
                self.gone.setdefault(each["payload"], []).extend(each["frames"])
        self.gone = {name: joined(ranges) for name, ranges in self.gone.items()}

    def run(self, source):
        file = self.opened(source)
        if file is None:
            return "proved"
        with file:
            offset = 0
            try:
                _, key_id, wrapped = read_header(file)
                key = self.data_key(key_id, wrapped)
                for offset, data, public in chunks(file):
                    if self.look(offset, data, list(frames_in(offset, data, public)), key):
                        break
            except Damage as error:
                self.fail("damaged", str(error), offset=error.offset)
            except Bad as error:
                self.fail("damaged", str(error), offset=offset)
        return "failed" if self.failed else "proved"

    def look(self, offset, data, parts, key):
        places, permitted = [], 0
        for part in parts:
            for name, size, _ in part.commitments():
                gone = is_in(self.gone.get(name, []), part.sequence)
                permitted += 8 if gone else 24 + size
                places += [(self.session, part.sequence, name)] if gone else []
        if key:
            self.removed = []
            self.payloads(offset, data, parts, key)
            removed = set(self.removed)
            places = [each for each in places if each not in removed]
        elif u32(data, 20) <= permitted:
            places = []
        if places:
            _, sequence, name = places[0]
            self.fail("payload", f"{name if key else 'a payload'} is there, and the log says that it was removed", sequence=sequence, offset=offset)
        return bool(places)


def hkdf(secret, info):
    """HKDF-SHA-256 without a salt, 32 bytes. RFC 5869."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def read_masters(path):
    found = {}
    with open(path, encoding="utf-8") as file:
        words = re.sub(r"#.*", "", file.read()).replace(",", " ").split()
    for word in words:
        text = word.removeprefix("sluice-key-").rstrip("=")
        key = base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "=")
        if len(key) != 32:
            raise Bad("this is no master key")
        found[hmac.digest(key, b"sluice master key id", "sha256")[:8].hex()] = key
    return found


# ---- the journal, with a master key: journal.md


BLOCK_MAX = 150_994_944
FRAME_MAX = 134_217_728
PAYLOAD = re.compile(r"(text|parameters|reason|names|body|input|digest|message|sealed\.[1-9][0-9]{0,3})\Z")
JOURNAL_FILE_MAX = 64 * 1024 * 1024 + BLOCK_MAX + 65_536


class Torn(Exception):
    """The file ends inside its header, or a block: the newest one may."""


class Journal:
    """What the journal holds, read to its end or to where it is damaged: `frames` by session, in order; None for no session."""

    def __init__(self, source, masters):
        self.frames, self.broken, self.expected = [], None, None
        numbers = sorted(int(name[:-4]) for name in source.list("journal") if re.fullmatch(r"[0-9]{8,15}\.slj", name))
        for number in numbers:
            name = f"{number:08d}.slj"
            try:
                data = source.read(f"journal/{name}", JOURNAL_FILE_MAX)
                if data is None:
                    raise Bad("it has gone while it was read: copy the journal, or read it again")
                self.file(number, data, masters, number == numbers[-1])
            except Bad as error:
                self.broken = f"{name}: {error}"
                return

    def file(self, number, data, masters, is_newest):
        try:
            cipher, mac_key, first = journal_header(number, data, masters)
        except Torn:
            # One that is being made; behind a damaged header nothing can be read.
            if is_newest and not holds_block(data):
                return
            raise Bad("its header is damaged") from None
        if self.expected not in (None, first) and not self.tells_of_gap(data, cipher, mac_key, first):
            raise Bad(f"frames are missing before it: {self.expected} to {first - 1}")
        names, self.expected = {}, first
        reading = Blocks(data, cipher, mac_key, first)
        try:
            for frame in reading.vouched():
                self.take(first, frame, names)
        except Damage as damage:
            # What a crash left unfinished, or somebody is writing, has no whole frames behind it.
            if not is_newest or reading.has_frames(damage.offset):
                raise Bad(f"byte {damage.offset}: {damage}") from damage
        if reading.pending and not is_newest:
            raise Bad("it does not end with a MAC")
        for frame in reading.pending:
            self.take(first, frame, names)

    def take(self, first, frame, names):
        sequence, kind, session, head, size = frame
        if (kind == 0) != (sequence == first):
            raise Bad(f"frame {sequence} has no place there")
        self.expected = sequence + 1
        if kind == 0:
            return
        if kind == 1:
            names[session] = session_of(head().get("session"))
            return
        if session != 0 and session not in names:
            raise Bad(f"frame {sequence} belongs to a session without a name")
        named = listed(head().get("payloads", []))
        if any(len(listed(each)) != 2 or not PAYLOAD.match(as_text(each[0])) for each in named):
            raise Bad(f"frame {sequence} names a payload that is none")
        if len({name for name, _ in named}) < len(named) or sum(count(length) for _, length in named) != size:
            raise Bad(f"frame {sequence} has other payloads than it names")
        self.frames.append((sequence, names.get(session)))

    def tells_of_gap(self, data, cipher, mac_key, first):
        for sequence, kind, _, head, _ in Blocks(data, cipher, mac_key, first).vouched():
            return kind == 0 and sequence == first and head().get("missing") == [self.expected, first - 1]
        return False

    def of(self, session):
        return [sequence for sequence, whose in self.frames if whose == session]


def journal_header(number, data, masters):
    """The keys of a file, and its first sequence number."""
    if len(data) < 100 or data[:8] != b"SLUICEJ2" or zlib.crc32(data[12:100]) != u32(data, 8):
        raise Torn()
    if u32(data, 12) != number:
        raise Bad("it is the file of another number")
    master = masters.get(data[32:40].hex())
    if master is None:
        raise Bad(f"it needs the master key {data[32:40].hex()}")
    try:
        key = AESGCM(hkdf(master, b"sluice recording")).decrypt(data[40:52], data[52:100], data[:8] + data[12:40])
    except InvalidTag as error:
        raise Bad("its wrapped key is not what was written there") from error
    return hkdf(key, b"sluice journal cipher"), hkdf(key, b"sluice journal mac"), u64(data, 16)


def holds_block(data):
    """Whether anything in it has the shape of a block: what a write left unfinished has none."""
    at = data.find(b"SLB2")
    while at >= 0:
        if at + 8 <= len(data) and 56 <= u32(data, at + 4) <= len(data) - at:
            return True
        at = data.find(b"SLB2", at + 1)
    return False


class Blocks:
    """The frames in the blocks of one file, each when a MAC vouches for it; what none follows is left in `pending`."""

    def __init__(self, data, cipher, mac_key, first):
        self.data, self.cipher, self.mac_key, self.sequence = data, cipher, mac_key, first
        self.at, self.pending = 100, []

    def vouched(self):
        # A MAC is over everything from the one before it, or from the beginning of the file.
        begin, counted, place = 0, 100, 0
        while self.at < len(self.data):
            at, rest = self.at, len(self.data) - self.at
            if rest < 16:
                yield from self.given_up("the file ends inside a block")
            magic, length = self.data[at : at + 4], u32(self.data, at + 4)
            is_mac = magic == b"SLM2"
            if not is_mac and magic != b"SLB2":
                yield from self.given_up("no block begins here")
            if length != 48 if is_mac else not 56 <= length <= BLOCK_MAX:
                yield from self.given_up("the block has an impossible length")
            if rest < length:
                yield from self.given_up("the file ends inside a block")
            if is_mac:
                mac = hmac.digest(self.mac_key, self.data[begin : at + 16], "sha256")
                if not hmac.compare_digest(mac, self.data[at + 16 : at + 48]):
                    # Nothing since the last right one counts.
                    self.pending = []
                    raise Damage(counted, "what is behind here is not what its MAC was made of")
                if u64(self.data, at + 8) >= SAFE:
                    yield from self.given_up("the MAC is of a kind that this verifier does not know")
                begin, counted = at, at + 48
                yield from self.released()
            else:
                if at - counted >= 65_536:
                    yield from self.given_up("a MAC is missing before the block")
                now = u64(self.data, at + 8)
                if not place <= now < SAFE:
                    yield from self.given_up("the block is not in its place")
                try:
                    frames = self.frames_in(self.opened(self.data[at + 16 : at + length], now))
                except Bad as error:
                    yield from self.given_up(str(error))
                self.pending += frames
                place = now + length - 16
            self.at = at + length

    def released(self):
        frames, self.pending = self.pending, []
        yield from frames

    def given_up(self, why):
        """Where something else is damaged before the MAC comes, the frames before it count."""
        yield from self.released()
        raise Damage(self.at, why)

    def has_frames(self, at):
        """Whether there is a whole block of whole frames from there on, whichever they are."""
        while (at := self.data.find(b"SLB2", at)) >= 0:
            length = u32(self.data, at + 4) if at + 16 <= len(self.data) else 0
            if 56 <= length <= min(BLOCK_MAX, len(self.data) - at):
                plain = self.opened(self.data[at + 16 : at + length], u64(self.data, at + 8))
                self.sequence = u64(plain, 24)
                try:
                    return bool(self.frames_in(plain))
                except Bad:
                    pass
            at += 1
        return False

    def opened(self, data, place):
        counter = (place // 16).to_bytes(16, "big")
        stream = Cipher(algorithms.AES(self.cipher), modes.CTR(counter)).decryptor()
        stream.update(bytes(place % 16))
        return stream.update(data)

    def frames_in(self, data):
        frames, at, sequence = [], 0, self.sequence
        while at < len(data):
            if len(data) - at < 40 or data[at : at + 4] != b"SLF2":
                raise Bad("no frame begins here")
            length, head = u32(data, at + 4), u32(data, at + 20)
            if not 40 <= length <= FRAME_MAX or head > length - 40:
                raise Bad("the frame has an impossible length")
            if length > len(data) - at:
                raise Bad("the block ends inside a frame")
            frame = data[at : at + length]
            if zlib.crc32(frame[12:]) != u32(frame, 8):
                raise Bad("the checksum of the frame is wrong")
            if frame[16] > 11 or any(frame[17:20]) or u64(frame, 24) != sequence or u64(frame, 32) >= SAFE:
                raise Bad("the frame is of another kind, or not in its place")
            frames.append((sequence, frame[16], u32(frame, 12), lambda text=frame[40 : 40 + head]: as_object(parsed(text)), length - 40 - head))
            at, sequence = at + length, sequence + 1
        if not frames:
            raise Bad("the block has no frames")
        self.sequence = sequence
        return frames


# ---- a whole recording: evidence.md, "Verifying a recording"


def stored(source, failures, path):
    try:
        data = source.read(path, NOTE_MAX)
        return None if data is None else Claim(path, data)
    except Bad as error:
        failures.add("damaged", path, str(error))
        return None


def kept_checkpoints(source):
    """Those beside the newest one, whoever signed them: the tree has a root at their sizes."""
    try:
        found = [stored(source, Failures(), f"log/{name}") for name in source.list("log") if KEPT.match(name)]
    except Bad:
        return []
    return [each for each in found if each]


def retired_path(key):
    return f"log/checkpoint.{key.id.hex()}"


def verify_recording(source, keys, witnesses, needed, since, only, masters):
    failures = Failures()
    claims = []
    if since is not None:
        try:
            claims.append(Claim(SINCE, since))
        except Bad as error:
            failures.add("damaged", SINCE, str(error))
    since_size = claims[0].size if claims else 0
    for path in ("log/checkpoint.cosigned", "log/checkpoint"):
        claim = stored(source, failures, path)
        if claim:
            claims.append(claim)
    head = claims[-1] if claims and claims[-1].path == "log/checkpoint" else None
    if head is None:
        if not failures:
            failures.add("missing", "log/checkpoint", "there is no checkpoint")
        return {"proved": False}, failures
    if not head.log_signers(keys, head.origin):
        retired = [] if head.names(keys) else [stored(source, failures, retired_path(key)) for key in keys]
        claims += [each for each in retired if each]
        if head.names(keys) or not any(each.log_signers(keys, head.origin) for each in claims):
            failures.add("signature", head.path, "no key that was given has signed it")
            return {"proved": False}, failures

    covered, cosigned = head.size, {}
    if witnesses:
        claim, cosigned = witnessed(claims, witnesses, needed, failures)
        covered = min(claim.size, head.size) if claim else head.size

    # Before the files: what leaves the journal meanwhile is in them by then.
    begin = journal_begin(source)
    journal = Journal(source, masters) if masters else None
    roots = {claim.size: None for claim in claims}
    for key in keys:  # those of retired keys that are found on the way
        roots |= {claim.size: None for claim in [stored(source, Failures(), retired_path(key))] if claim}
    roots |= {claim.size: None for claim in kept_checkpoints(source)}
    ledger = Ledger(failures, only)
    for path, number, data in Tiles(source, head, failures).walk(roots):
        if data is None:
            continue
        try:
            entry = read_entry(data)
            ledger.excuse(number, entry)
        except Bad as error:
            failures.add("unreadable", path, str(error), entry=number)
            continue
        if number < covered:
            ledger.add(number, path, entry)

    states, removed, files = {}, [], 0
    for session, account in ledger.accounts.items():
        if account.file is None:
            states[session] = unsealed(source, failures, session, account, begin, ledger, journal)
        elif account.file[0] < since_size:
            states[session] = "earlier"
        else:
            check = FileCheck(failures, session, account, masters)
            states[session] = check.run(source)
            removed += check.removed
            files += states[session] != "missing"
    signers = verify_head(source, failures, claims, head, keys, ledger.keys)
    hold_against_head(claims, head, roots, failures)
    for session, state in states.items():
        if state == "missing":
            states[session] = "deleted"
            if session not in ledger.deleted:
                states[session] = "failed"
                failures.add("missing", session_path(session), "the log does not say that it was deleted", session=session)
    gaps = lost_in_gaps(failures, ledger, states)
    for session, sequence, name in removed:
        if not ledger.is_removed(session, sequence, name):
            failures.add("payload", session_path(session), f"{name} was taken out, and the log does not say so", session=session, sequence=sequence)
    for session, state in states.items():
        if state == "proved":
            check = Restored(failures, session, ledger, source, masters)
            if check.gone and check.run(source) != "proved":
                states[session] = "failed"
    others = None if only else Others(source, ledger, failures, head, roots)
    if only and only not in ledger.accounts:
        failures.add("unknown", head.path, "the log has no such session", session=only)
    answer = {
        "proved": not failures and not (only and states.get(only) == "committed"),
        "log": {
            "origin": head.origin,
            "size": head.size,
            "covered": covered,
            "root": base64.b64encode(head.root).decode(),
            "keys": [key.text for key in signers],
            "witnesses": [{"key": key.text, "time": seconds} for key, seconds in cosigned.items()],
        },
        "sessions": [
            {"session": session, "state": states[session], "frames": account.frames}
            | ({} if account.first is None else {"first": account.first, "last": account.last})
            for session, account in ledger.accounts.items()
        ],
        "gaps": gaps,
        "removals": [
            each | {"frames": [{"first": first, "last": last} for first, last in each["frames"]]}
            for each in ledger.removals
            if each["session"] in ledger.accounts
        ],
        "admin": ledger.admin,
        "files": files,
        "unproven": others.unproven if others else [],
        "ignored": others.ignored[:100] if others else [],
        "ignoredCount": len(others.ignored) if others else 0,
    }
    if journal and not only:
        behind = [(sequence, session) for sequence, session in journal.frames if sequence > ledger.through]
        answer["tail"] = {"frames": len(behind), "sessions": len({session for _, session in behind if session})}
        answer["tail"] |= {"last": behind[-1][0]} if behind else {}
        answer["tail"] |= {"broken": journal.broken} if journal.broken else {}
    if ledger.through >= 0:
        answer["through"] = {"sequence": ledger.through, "time": ledger.through_time}
    return answer, failures


def journal_begin(source):
    """The first frame of the journal, by the headers of its files: journal.md, "A file"."""
    begin = SAFE
    try:
        names = source.list("journal")
    except Bad:
        return begin
    for name in names:
        number = journal_number(name)
        first = journal_first(source, f"journal/{name}", number) if number else None
        if isinstance(first, int):
            begin = min(begin, first)
    return begin


def journal_number(name):
    digits = re.fullmatch(r"([0-9]{8,15})\.slj", name)
    number = int(digits[1]) if digits else 0
    return number if number and f"{number:08}" == digits[1] else None


def journal_first(source, path, number):
    """Its first frame, by its header; "cut" where it ends before that does, "none" where it has no such header."""
    try:
        file = source.open(path)
    except Bad:
        return "none"
    if file is None:
        return None
    with file:
        header = file.read(100)
    if len(header) < 100:
        return "cut"
    if header[:8] != b"SLUICEJ2" or zlib.crc32(header[12:]) != u32(header, 8) or u32(header, 12) != number:
        return "none"
    first = u64(header, 16)
    return first if first < SAFE else "none"


def unsealed(source, failures, session, account, begin, ledger, journal):
    """A session without a file: its frames must be in a draft, or in the journal."""
    drafted, path = 0, session_path(session)
    for each in (path, path.removesuffix("slr") + "part"):
        check = FileCheck(failures, session, account, {})
        drafted = max(drafted, check.run_draft(source, each))
        if check.failed:
            return "failed"
    for _, said in account.segments:
        first = max(said["first"], drafted + 1)
        if said["last"] <= drafted:
            continue
        if journal:
            held = [each for each in journal.of(session) if first <= each <= said["last"]]
            # Of one that the draft has a part of, the last frame is as much as can be told.
            whole = len(held) == said["frames"] if first == said["first"] else held[-1:] == [said["last"]]
            is_lost = not whole
        else:
            is_lost = first < begin or any(gap[0] <= said["last"] and gap[1] >= first for gap in ledger.gaps)
        if is_lost:
            if session in ledger.deleted:
                return "deleted"
            why = "the log has frames of it that are in no file, no draft and no journal any more"
            failures.add("missing", path, why, session=session, sequence=first)
            return "lost"
    return "committed"


def lost_in_gaps(failures, ledger, states):
    found = []
    for first, last, entry, path in ledger.gaps:
        lost = 0
        for session, account in ledger.accounts.items():
            inside = any(said["first"] <= last and said["last"] >= first for _, said in account.segments)
            lost += states[session] == "lost" and inside
        if lost:
            failures.add("gap", path, f"frames {first} to {last} were lost: nobody has what was in them", entry=entry, sequence=first)
        found.append({"first": first, "last": last, "sessions": lost})
    for session, state in states.items():
        if state == "lost":
            states[session] = "missing"
    return found


def witnessed(claims, witnesses, needed, failures):
    newest = sorted((claim for claim in claims if claim.path != SINCE), key=lambda claim: (-claim.size, claim.path))
    for claim in newest:
        by = claim.signers(witnesses)
        if not by and claim.names(witnesses):
            failures.add("signature", claim.path, "a cosignature is not that of the key it names")
        if len(by) >= needed:
            return claim, by
    path = next((claim.path for claim in newest if claim.path.endswith("cosigned")), "log/checkpoint")
    failures.add("witnesses", path, "no checkpoint has the cosignatures of as many witnesses as needed")
    return None, {}


def verify_head(source, failures, claims, head, given, announced):
    believed, newest = list(given), None
    for number, vkey, path in announced:
        try:
            key = Key(vkey)
        except Bad:
            key = None
        if key is None or key.name != head.origin or key.type != 1:
            failures.add("unreadable", path, "the key that it announces is none of this log", entry=number)
            continue
        newest = (number, key)
        if any(each.id == key.id and each.name == key.name for each in believed):
            continue
        if any(claim.size > number and claim.log_signers(believed, head.origin) for claim in claims):
            believed.append(key)
            retired = stored(source, failures, retired_path(key))
            if retired:
                claims.append(retired)
    for claim in claims:
        if not claim.log_signers(believed, head.origin):
            failures.add("signature", claim.path, "no key that was given has signed it")
    signers = head.log_signers(believed, head.origin)
    if newest and head.size > newest[0] + 1 and signers and not any(key.id == newest[1].id for key in signers):
        failures.add("signature", head.path, "a key signed it that had been replaced")
    return signers


def hold_against_head(claims, head, roots, failures):
    damaged = len(failures) > 0
    for claim in claims:
        if claim is head:
            continue
        if claim.origin != head.origin:
            failures.add("foreign", claim.path, "it is of another log")
        elif claim.size > head.size:
            failures.add("rolled-back", head.path, f"{claim.size} entries were signed, and the log has only {head.size}", entry=head.size)
        elif roots.get(claim.size) != claim.root and not damaged:
            failures.add("forked", claim.path, "the log does not begin with what was signed there")


LOG_NAMES = re.compile(r"(checkpoint(\.cosigned)?|key|staged|tile|\.drafts)\Z")
KEPT = re.compile(r"checkpoint\.([0-9a-f]{8})\Z")


class Others:
    """Files that no proof rests on: evidence.md, "Other files"."""

    def __init__(self, source, ledger, failures, head, roots):
        self.source, self.ledger, self.failures, self.head, self.roots = source, ledger, failures, head, roots
        self.unproven, self.ignored = [], []
        self.log()
        self.journal()
        self.sessions()

    def strange(self, path, why="nothing of a recording has this name here"):
        self.failures.add("unknown", path, why)

    def names(self, folder):
        try:
            return self.source.list(folder)
        except Bad as error:
            self.strange(folder, str(error))
            return []

    def log(self):
        for name in self.names("log"):
            if KEPT.match(name):
                self.kept(f"log/{name}", bytes.fromhex(name[-8:]))
            elif not LOG_NAMES.match(name):
                self.strange(f"log/{name}")
        try:
            below = self.source.list("log/staged")
        except Bad:
            below = []
        for name in below:
            self.strange(f"log/staged/{name}")
        for name in self.names("log/.drafts"):
            if re.fullmatch("[0-9]+-[0-9]+", name):
                self.ignored.append(f"log/.drafts/{name}")
            else:
                self.strange(f"log/.drafts/{name}")
        for name in self.names("log/tile"):
            if re.fullmatch("entries|[0-6]", name):
                level = 0 if name == "entries" else int(name)
                self.tiles(f"log/tile/{name}", self.head.size // 256**level, "")
            else:
                self.strange(f"log/tile/{name}")

    def tiles(self, folder, hashes, digits):
        """Beyond the head there may be what was about to be signed, or what was copied later."""
        for name in self.names(folder):
            path, found = f"{folder}/{name}", re.fullmatch(r"x([0-9]{3})|([0-9]{3})(\.p)?", name)
            if found and found[1] and len(digits) < 18 and (digits or found[1] != "000"):
                self.tiles(path, hashes, digits + found[1])
                continue
            if not found or not found[2]:
                self.strange(path)
                continue
            first = int(digits + found[2]) * 256
            if not found[3]:
                if first + 256 > hashes:
                    self.ignored.append(path)
                continue
            for width in self.names(path):
                if not re.fullmatch("[1-9][0-9]{0,2}", width) or int(width) >= 256:
                    self.strange(f"{path}/{width}")
                elif first + int(width) > hashes:
                    self.ignored.append(f"{path}/{width}")

    def kept(self, path, ident):
        """The last checkpoint of a key that another took the place of."""
        claim = stored(self.source, Failures(), path)
        of_key = claim and claim.origin == self.head.origin and any(name == claim.origin and each == ident for name, each, _ in claim.signatures)
        if of_key and claim.size > self.head.size:
            self.ignored.append(path)
        elif not of_key or claim.size - 1 not in self.ledger.announced or self.roots.get(claim.size) != claim.root:
            self.strange(path, "it is not the last checkpoint of a key that the log has changed for another")

    def journal(self):
        files = []
        for name in self.names("journal"):
            path, found = f"journal/{name}", re.fullmatch(r"([0-9]+\.slj)(\.cut-[0-9]+)?", name)
            number = journal_number(found[1]) if found else None
            if number is None:
                self.strange(path)
            elif found[2]:
                self.ignored.append(path)
            else:
                files.append((number, path))
        last = 0
        for number, path in sorted(files):
            first = journal_first(self.source, path, number)
            if first is None:  # gone meanwhile
                continue
            if first == "cut" and number == max(files)[0]:  # it was being begun when the process died
                self.ignored.append(path)
            elif not isinstance(first, int):
                self.failures.add("damaged", path, "it does not begin as a file of the journal", offset=0)
            elif first < last:
                self.failures.add("damaged", path, "it begins before the file in front of it", offset=16)
            else:
                last = first

    def sessions(self):
        for day in self.names("sessions"):
            if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day):
                self.strange(f"sessions/{day}")
                continue
            for name in self.names(f"sessions/{day}"):
                path, (session, _, suffix) = f"sessions/{day}/{name}", name.partition(".")
                is_file = suffix in ("slr", "slr.new", "part", "part.new") and SESSION_ID.match(session)
                account = self.ledger.accounts.get(session)
                if not is_file or session_path(session).split("/")[1] != day:
                    self.strange(path)
                elif account is None and opened_at(session) < self.ledger.through_time - 60_000:
                    self.failures.add("unknown", path, "the log has no such session", session=session)
                elif suffix == "slr":
                    self.unproven += [] if account else [session]
                elif suffix != "part" or (account and account.file):
                    self.ignored.append(path)


# ---- an evidence file: evidence.md


def announced_keys(changes, given, failures):
    """The keys that were given, and those that a believed one announced."""
    origin = given[0].name
    believed = [key for key in given if key.name == origin]
    for each in changes:
        index, data = each["index"], each["entry"].encode()

        def fail(why):
            failures.add("signature", EVIDENCE, why, entry=index)

        try:
            claim = Claim(EVIDENCE, each["checkpoint"].encode())
        except Bad:
            continue
        if claim.origin != origin or not claim.log_signers(believed, origin):
            continue  # before the key that was given
        try:
            proof = [b64(proof) for proof in each["proof"]]
            if claim.size != index + 1 or not is_included(index, claim.size, leaf(data), claim.root, proof):
                fail("what announces a key is not the last entry of the checkpoint before")
                continue
            entry = read_entry(data)
            key = Key(entry["vkey"]) if entry["kind"] == "key" else None
        except Bad:
            key = None
        if key is None or key.name != origin or key.type != 1:
            fail("what should announce a key of the log announces none")
        elif not any(known.id == key.id and known.name == key.name for known in believed):
            believed.append(key)
    return believed


def verify_evidence(text, keys, witnesses, needed):
    failures = Failures()
    file = as_object(parsed(text))
    has_keys = file.get("format") == "sluice evidence 2"
    exactly(file, "format", "session", "checkpoint", "entries", "frames", *(["keys"] if has_keys else []))
    changes = listed(file["keys"]) if has_keys else []
    for each in changes:
        exactly(each, "checkpoint", "index", "entry", "proof")
        for text in (each["checkpoint"], each["entry"], *listed(each["proof"])):
            as_text(text)
        count(each["index"])
    for each in listed(file["entries"]):
        exactly(each, "index", "entry", "proof")
        for text in (each["entry"], *listed(each["proof"])):
            as_text(text)
    for each in listed(file["frames"]):
        exactly(each, "segment", "index", "part", "proof", "payloads")
        count(each["segment"])
        for text in listed(each["proof"]):
            as_text(text)
        for payload in listed(each["payloads"]):
            shown = as_object(payload).get("state") not in ("hidden", "removed")
            exactly(payload, *(("name", "salt", "bytes") if shown else ("name", "state")))
            as_text(payload["name"])
            if shown:
                b64(payload["salt"]), b64(payload["bytes"])
    if as_text(file["session"]) is None or file.get("format") not in ("sluice evidence 1", "sluice evidence 2") or not isinstance(file.get("checkpoint"), str):
        raise Bad("this is no evidence file")
    session, size, root, claim = file.get("session"), 0, sha256(b""), None
    by = {}
    try:
        claim = Claim(EVIDENCE, file["checkpoint"].encode())
        keys = announced_keys(changes, keys, failures)
        if not claim.log_signers(keys, keys[0].name):
            raise Bad("no key that was given has signed the checkpoint")
        size, root, by = claim.size, claim.root, claim.signers(witnesses)
        if not by and claim.names(witnesses):
            raise Bad("a cosignature is not that of the key it names")
        if len(by) < needed:
            failures.add("witnesses", EVIDENCE, "the checkpoint has fewer cosignatures than needed")
    except Bad as error:
        failures.add("signature", EVIDENCE, str(error))
    entries = {}
    for each in file.get("entries", []):
        index, data = count(each.get("index")), each["entry"].encode()
        if not is_included(index, size, leaf(data), root, [b64(proof) for proof in each["proof"]]):
            failures.add("entry", EVIDENCE, "an entry is not proved to be in the log", entry=index)
            continue
        try:
            entries[index] = read_entry(data)
        except Bad as error:
            failures.add("unreadable", EVIDENCE, str(error), entry=index)
    removed = {}
    for entry in entries.values():
        said = removed_by(entry)
        if said and said["session"] == session:
            removed.setdefault(said["payload"], []).extend(said["frames"])
    removed = {name: joined(ranges) for name, ranges in removed.items()}
    frames = []
    for each in file.get("frames", []):
        segment = entries.get(each.get("segment"))
        place = {"entry": each.get("segment"), "session": session}
        if segment is None or segment["kind"] != "segment" or segment["session"] != session:
            failures.add("frames", EVIDENCE, "a frame is in no segment of the session", **place)
            continue
        try:
            part = Part(b64(each["part"]))
            place["sequence"] = part.sequence
            proof = [b64(proof) for proof in each["proof"]]
            if not is_included(count(each.get("index")), segment["frames"], leaf(part.data), segment["root"], proof):
                failures.add("frames", EVIDENCE, "a frame is not proved to be in its segment", **place)
            elif frames and part.sequence <= frames[-1]["sequence"]:
                failures.add("frames", EVIDENCE, "a frame does not stand in its place", **place)
            frames.append({"kind": part.kind, "sequence": part.sequence, "time": part.time, "shown": []})
            said = part.commitments()
            if [name for name, _, _ in said] != [payload["name"] for payload in each["payloads"]]:
                failures.add("payload", EVIDENCE, "a frame has other payloads than it commits to", **place)
                continue
            for (name, length, commitment), payload in zip(said, each["payloads"]):
                if payload.get("state") in ("hidden", "removed"):
                    if payload["state"] == "removed" and not is_in(removed.get(name, []), part.sequence):
                        failures.add("payload", EVIDENCE, f"{name} is called removed, and no entry of the log that is here says so", **place)
                    continue
                salt, data = b64(payload.get("salt")), b64(payload.get("bytes"))
                if len(salt) != 16 or len(data) != length or sha256(b"\x02", salt, data) != commitment:
                    failures.add("payload", EVIDENCE, f"{name} is not what was committed to", **place)
                else:
                    frames[-1]["shown"].append(name)
        except Bad as error:
            failures.add("frames", EVIDENCE, str(error), **place)
    if not frames:
        failures.add("frames", EVIDENCE, "there is no frame in it", session=session)
    whole = any(
        entry["kind"] == "file"
        and entry["session"] == session
        and frames
        and (entry["frames"], entry["first"], entry["last"])
        == (len(frames), frames[0]["sequence"], frames[-1]["sequence"])
        for entry in entries.values()
    )
    answer = {
        "proved": not failures,
        "session": session,
        "origin": claim.origin if claim else None,
        "witnesses": [{"key": key.text, "time": seconds} for key, seconds in by.items()],
        "whole": whole,
        "frames": frames,
    }
    return answer, failures


def plain(text):
    """What acts on a terminal is spelled out."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def main():
    parser = argparse.ArgumentParser(description="Verifies a recording of Sluice, or an evidence file, from public keys up.")
    parser.add_argument("path")
    parser.add_argument("--key", action="append", default=[], metavar="VKEY", help="public key of the log")
    parser.add_argument("--key-file", metavar="FILE", help="public keys of the log, one a line")
    parser.add_argument("--witness", action="append", default=[], metavar="VKEY")
    parser.add_argument("--witnesses-needed", type=int, metavar="N")
    parser.add_argument("--session", metavar="ID")
    parser.add_argument("--since", metavar="FILE", help="a signed checkpoint from earlier")
    parser.add_argument("--master-key", metavar="FILE", help="holds payloads against their commitments, too")
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args()
    try:
        texts = list(flags.key)
        if flags.key_file:
            with open(flags.key_file, encoding="utf-8") as file:
                texts += [line.strip() for line in file if line.strip() and not line.startswith("#")]
        keys, witnesses = [Key(text) for text in texts], [Key(text) for text in flags.witness]
        if not keys or any(key.type != 1 for key in keys) or any(key.type != 4 for key in witnesses):
            parser.error("give the public key of the log with --key, and those of witnesses with --witness")
        needed = len(witnesses) if flags.witnesses_needed is None else flags.witnesses_needed
        if os.path.isfile(flags.path):
            with open(flags.path, "rb") as file:
                text = file.read(EVIDENCE_MAX + 1)
            if len(text) > EVIDENCE_MAX:
                raise Bad("it is longer than an evidence file may be")
            answer, failures = verify_evidence(text, keys, witnesses, needed)
        else:
            since = None
            if flags.since:
                with open(flags.since, "rb") as file:
                    since = file.read(NOTE_MAX)
            masters = read_masters(flags.master_key) if flags.master_key else {}
            answer, failures = verify_recording(Source(flags.path), keys, witnesses, needed, since, flags.session, masters)
    except (Bad, KeyError, TypeError, AttributeError, UnicodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    answer["failures"] = failures.listed()
    if flags.json:
        print(json.dumps(answer))
    else:
        print("proved" if answer["proved"] else "not proved" if len(failures) else "not sealed yet")
        for each in answer.get("sessions", []):
            print(each["session"], each["state"], each["frames"], each.get("first", ""), each.get("last", ""))
        tail = answer.get("tail", {})
        if tail.get("frames") or tail.get("broken"):
            end = f"; it cannot be read further: {tail['broken']}" if "broken" in tail else ""
            print(plain(f"tail {tail['frames']} entries in the journal behind what the log covers: read, and not proved{end}"))
        for path in answer.get("ignored", [])[:20]:
            print(plain(f"passed over {path}"))
        for each in answer.get("removals", [])[:20]:
            places = ",".join(str(one["first"]) if one["first"] == one["last"] else f"{one['first']}-{one['last']}" for one in each["frames"])
            why = each.get("reason", each.get("rule", ""))
            print(plain(f"erased {each['session']} {each['payload']} of {places}, by {each['by']}: {why}"))
        for each in answer["failures"][:20]:
            places = [f"{name} {each[name]}" for name in ("entry", "session", "sequence", "offset") if name in each]
            print(plain(f"{each['code']}  {each['path']} ({', '.join(places)}): {each['why']}"))
    return 0 if answer["proved"] else 1 if len(failures) else 3


if __name__ == "__main__":
    sys.exit(main())
