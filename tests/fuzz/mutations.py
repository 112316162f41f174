"""All kinds of damage to the bytes of a valid file, drawn from a seed."""

import hashlib
import json
import random
import zlib
from typing import Any

ODD_NUMBERS = [0, -1, 1, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 10**7, 10**9, 10**30]
ODD_VALUES: list[Any] = [
    None, True, False, "", "zzz", "\x00", "$(x)", "../..", "é\u2028", [], {}, [0], ["a", 1], {"a": 1}, [[[]]], 0.5,
    -0.5, 1e308, float("nan"), float("inf"), "x" * 3000, list(range(300)), *ODD_NUMBERS,
]  # fmt: skip
ODD_FIELDS = [
    "", " ", "NA", "nan", "inf", "-inf", "-1", "0", "1e400", "1e-400", "9" * 30, "9" * 5000, "0x10", "1_000", "+5",
    "1.5", "\ufeff", "\x00", "\x0b", "\u2028", "é", "'", '"', "=1+1", "a" * 300, "../../etc/passwd", ".", "*", "true",
    "[1, 2]", "{a: 1}", "&a [*a]", "!!int abc", "2020-01-01", "null", ";", ",", "=", "|", "%", "<1>", "chr1", "-0",
    "1" * 20,
]  # fmt: skip


def mutate(content: bytes, rng: random.Random, kind: str) -> bytes:
    """Make one to three changes to a file: ``binary``, ``text``, ``json``, ``safetensors``, ``state`` or ``png``."""
    if kind == "state":  # a digest followed by a safetensors file; the digest is updated
        content = mutate(content[32:], rng, "safetensors")
        return hashlib.sha256(content).digest() + content
    if kind == "png":
        return with_checksums(mutate(content, rng, "binary"))
    choices = [flip, overwrite, truncate, insert, delete, repeat, swap]
    if kind == "text":
        choices = [*choices, *[edit_field] * 8, *[edit_lines] * 4]
    elif kind == "json":
        choices = [*choices, *[edit_json] * 30]
    elif kind == "safetensors":
        choices = [*choices, flip_header, flip_header, *[edit_header] * 20]
    for _ in range(rng.choice([1, 1, 2, 3])):
        if content:
            content = rng.choice(choices)(content, rng)
    return content


def with_checksums(content: bytes) -> bytes:
    """Return a PNG with correct checksums of its chunks, so that readers parse their content."""
    parts, at = [content[:8]], 8
    while at + 12 <= len(content):
        end = min(at + 8 + int.from_bytes(content[at : at + 4], "big"), len(content) - 4)
        parts.append(content[at:end] + zlib.crc32(content[at + 4 : end]).to_bytes(4, "big"))
        at = end + 4
    return b"".join(parts) + content[at:]


def flip(content: bytes, rng: random.Random) -> bytes:
    """Flip some bits, half of the time near the start, where headers are."""
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        end = len(changed) if rng.random() < 0.5 else min(len(changed), 400)
        changed[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite(content: bytes, rng: random.Random) -> bytes:
    """Replace a number by a very large or unusual one."""
    size = rng.choice([1, 2, 4, 8])
    value = (rng.choice(ODD_NUMBERS) % 2 ** (8 * size)).to_bytes(size, rng.choice(["little", "big"]))
    at = rng.randrange(len(content))
    return content[:at] + value + content[at + size :]


def truncate(content: bytes, rng: random.Random) -> bytes:
    """Remove the end."""
    return content[: rng.randrange(len(content))]


def insert(content: bytes, rng: random.Random) -> bytes:
    """Insert random bytes."""
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.randbytes(rng.choice([1, 2, 16, 200])) + content[at:]


def delete(content: bytes, rng: random.Random) -> bytes:
    """Remove a piece."""
    at = rng.randrange(len(content))
    return content[:at] + content[at + rng.choice([1, 2, 16, 200]) :]


def repeat(content: bytes, rng: random.Random) -> bytes:
    """Repeat a piece."""
    at, size = rng.randrange(len(content)), rng.choice([1, 8, 100])
    return content[: at + size] + content[at : at + size] * rng.choice([1, 3]) + content[at + size :]


def swap(content: bytes, rng: random.Random) -> bytes:
    """Swap two pieces."""
    a, b = sorted(rng.randrange(len(content)) for _ in range(2))
    size = min(rng.choice([1, 4, 40]), b - a)
    return content[:a] + content[b : b + size] + content[a + size : b] + content[a : a + size] + content[b + size :]


def edit_field(content: bytes, rng: random.Random) -> bytes:
    """Replace a field of a line, or swap it with another."""
    lines = content.split(b"\n")
    row = rng.randrange(len(lines))
    mark = max((b"\t", b",", b" ", b":"), key=lines[row].count)
    fields = lines[row].split(mark)
    column = rng.randrange(len(fields))
    if rng.random() < 0.3:
        other = rng.randrange(len(fields))
        fields[column], fields[other] = fields[other], fields[column]
    else:
        fields[column] = rng.choice(ODD_FIELDS).encode()
    return b"\n".join([*lines[:row], mark.join(fields), *lines[row + 1 :]])


def edit_lines(content: bytes, rng: random.Random) -> bytes:
    """Remove, duplicate, move or add a line, or change all line ends."""
    lines = content.split(b"\n")
    row, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    action = rng.randrange(6)
    if action == 0:
        lines[row], lines[other] = lines[other], lines[row]
    elif action == 1:
        lines.insert(other, lines[row])
    elif action == 2:
        del lines[row]
    elif action == 3:
        lines.insert(row, rng.choice(ODD_FIELDS).encode())
    elif action == 4:
        lines = [b"\xef\xbb\xbf" + lines[0], *lines[1:]]
    else:
        return rng.choice([b"\r\n", b"\r", b"\n\n"]).join(lines)
    return b"\n".join(lines)


def edit_json(content: bytes, rng: random.Random) -> bytes:
    """Replace or remove a value of a JSON document, or nest it one level deeper."""
    try:
        return json.dumps(edit_tree(json.loads(content), rng)).encode()
    except (ValueError, RecursionError):
        return flip(content, rng)


def edit_tree(tree: Any, rng: random.Random) -> Any:
    """Do the same for decoded JSON."""
    if isinstance(tree, dict | list) and tree and rng.random() < 0.85:
        keys = list(tree) if isinstance(tree, dict) else range(len(tree))
        key = rng.choice(keys)
        changed = tree.copy()
        if rng.random() < 0.1:
            del changed[key]
        elif rng.random() < 0.1:
            other = rng.choice(keys)
            changed[key], changed[other] = tree[other], tree[key]
        else:
            changed[key] = edit_tree(tree[key], rng)
        return changed
    return [tree] if rng.random() < 0.1 else rng.choice(ODD_VALUES)


def _header(content: bytes) -> tuple[bytes, bytes]:
    size = int.from_bytes(content[:8], "little")
    return content[8 : 8 + size], content[8 + size :]


def edit_header(content: bytes, rng: random.Random) -> bytes:
    """Edit the JSON header of a safetensors file, whose metadata are JSON in JSON."""
    header, rest = _header(content)
    try:
        tree = json.loads(header)
        key = rng.choice(list(tree["__metadata__"]))
        inner = json.loads(tree["__metadata__"][key])
        if rng.random() < 0.9:
            tree["__metadata__"][key] = json.dumps(edit_tree(inner, rng))
        else:
            tree = edit_tree(tree, rng)
        changed = json.dumps(tree).encode()
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return flip(content, rng)
    return len(changed).to_bytes(8, "little") + changed + rest


def flip_header(content: bytes, rng: random.Random) -> bytes:
    """Flip some bits of the same header."""
    header, rest = _header(content)
    return content[:8] + (flip(header, rng) if header else header) + rest
