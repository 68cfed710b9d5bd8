#!/usr/bin/env python3
"""The other side of `mls bench --peers`: the same work in PyTorch and its packages.

Reads requests, one JSON object a line, and answers each with one:

  {"hello": threads}              versions, and which packages are absent
  {"open": row, "file": path}     the variants of a row; path has mls's weights, input,
                                  gradient of the output, and what mls made of them
  {"check": row, "variant": v}    runs it, and tells how far its outputs and gradients
                                  are from mls's, and the bytes it keeps for backward
  {"run": row, "variant": v}      runs it once, quick ones after a run that does not count:
                                  seconds forward and backward, on the wall and of the
                                  processor
  {"close": row}

setup.sh makes an environment for it.
"""
import gc
import importlib
import json
import os
import sys
import time
import traceback
import warnings

warnings.filterwarnings("ignore")
import h5py
import numpy as np
import torch

import layers
import models

ABSENT = {}


def need(package):
    """Is there such a package?"""
    if package not in ABSENT:
        try:
            importlib.import_module(package)
            ABSENT[package] = None
        except Exception as error:              # whatever it is, it is not there
            ABSENT[package] = "%s: %s" % (package, error)
    return ABSENT[package] is None


def read(path):
    out = {}
    with h5py.File(path, "r") as f:
        names = []
        f.visit(names.append)
        for name in names:
            if isinstance(f[name], h5py.Dataset):
                out[name] = torch.from_numpy(np.ascontiguousarray(f[name][()]))
    return out


def group(tensors, prefix):
    n = len(prefix)
    return {name[n:]: t for name, t in tensors.items() if name.startswith(prefix)}


class Saved:
    """Bytes of what autograd keeps for backward, weights aside."""

    def __init__(self, weights):
        self.seen = {}
        self.skip = {w.data_ptr() for w in weights.values()}

    def pack(self, t):
        if t.data_ptr() not in self.skip and t.numel():
            old = not hasattr(t, "untyped_storage")
            store = t.storage() if old else t.untyped_storage()
            self.seen[store.data_ptr()] = store.nbytes()
        return t

    def __enter__(self):
        self.hook = torch.autograd.graph.saved_tensors_hooks(self.pack, lambda t: t)
        self.hook.__enter__()
        return self

    def __exit__(self, *rest):
        self.hook.__exit__(*rest)

    def bytes(self):
        return sum(self.seen.values())


def far(want, got):
    """The size of the difference over the size of what is wanted."""
    want, got = want.double().reshape(-1), got.detach().double().reshape(-1)
    if want.shape != got.shape or not bool(torch.isfinite(got).all()):
        return float("inf")
    size = want.norm()
    return float((want - got).norm() / (size if size > 0 else 1.0))


def clocks():
    return time.perf_counter(), time.process_time()


class Layer:
    """A row of one layer: forward, and backward from the file's gradient."""

    def __init__(self, row, tensors, need):
        self.row, self.tensors = row, tensors
        self.x, self.g = (next(iter(group(tensors, k).values()))
                          for k in ("in/", "grad_out/"))
        port = next(iter(group(tensors, "grad_out/")))
        self.y = tensors["out/" + port]
        self.weights = group(tensors, "weight/")
        self.variants = {v.name: v for v in layers.ROWS[row](self.weights, need)}
        self.ready = {}

    def sequence(self, v):
        if v.name not in self.ready:
            turn = (lambda t: t.clone()) if v.batch_first else \
                (lambda t: t.transpose(0, 1).contiguous())
            self.ready[v.name] = turn(self.x).requires_grad_(), turn(self.g)
        return self.ready[v.name]

    def forget(self):
        """What the last forward made, with all that it holds on to."""
        self.made = None

    def part(self, v):
        """Forward and backward of a part of the layer, from inputs made beforehand."""
        run, inputs = v.alone
        x, g = self.sequence(v)
        if v.name + " part" not in self.ready:
            with torch.no_grad():
                made = [t.contiguous() for t in inputs.before(x)]
                g = g @ v.weights["out_proj.weight"]
            self.ready[v.name + " part"] = [t.requires_grad_() for t in made], g
        made, g = self.ready[v.name + " part"]
        for t in made:
            t.grad = None
        begin = clocks()
        y = run(*made)
        middle = clocks()
        y.backward(g)
        return begin, middle, clocks()

    def once(self, v, whole=False):
        if v.alone and not whole:
            return self.part(v)
        x, g = self.sequence(v)
        x.grad = None
        for w in v.weights.values():
            w.grad = None
        begin = clocks()
        self.made = v.run(x, v.weights)
        middle = clocks()
        self.made.backward(g)
        return begin, middle, clocks()

    def check(self, v, saving):
        with saving(v.weights) as saved:
            self.once(v, whole=True)
        file = (lambda t: t) if v.batch_first else (lambda t: t.transpose(0, 1))
        x, _ = self.sequence(v)
        pairs = {"out": (self.y, file(self.made)),
                 "grad/in": (next(iter(group(self.tensors, "grad/in/").values())),
                             file(x.grad))}
        if self.row == "lif":           # a unit with a spike elsewhere is left out
            same = (self.y == pairs["out"][1].detach()).all(1, keepdim=True).float()
            pairs = {k: (a * same, b * same) for k, (a, b) in pairs.items()}
            if float(1 - same.mean()) > 0.01:
                pairs["spikes"] = torch.ones(1), torch.zeros(1)
        for name, w in v.weights.items():
            pairs["grad/" + name] = self.tensors["grad/weight/" + name], w.grad
        return pairs, 0 if v.alone else saved.bytes()


WARM = 0.3      # seconds: what takes longer does not depend on the caches it finds


class Server:
    def __init__(self):
        self.rows = {}
        self.took = {}

    def hello(self, threads):
        torch.set_num_threads(threads)
        missing = [p for p in ("snntorch", "ncps", "mambapy") if not need(p)]
        versions = {"python": sys.version.split()[0], "torch": torch.__version__}
        try:
            from importlib import metadata
            for name in ("snntorch", "ncps", "mambapy"):
                if name not in missing:
                    versions[name] = metadata.version(name)
        except Exception:
            pass
        return {"versions": versions, "absent": missing,
                "blas": "MKL" if torch.backends.mkl.is_available() else "BLAS"}

    def open(self, row, file):
        tensors = read(file)
        if row not in layers.ROWS and row not in models.ROWS:
            return {"variants": []}
        kind = Layer if row in layers.ROWS else models.Model
        self.rows[row] = r = kind(row, tensors, need)
        return {"variants": [{"name": v.name, "label": v.label}
                             for v in r.variants.values()]}

    def check(self, row, variant):
        r = self.rows[row]
        pairs, saved = r.check(r.variants[variant], Saved)
        errors = {name: far(*pair) for name, pair in pairs.items()}
        worst = max(errors, key=errors.get)
        r.forget()
        return {"worst": worst, "error": min(errors[worst], 1e30), "saved": saved}

    def run(self, row, variant):
        r = self.rows[row]
        gc.collect()
        gc.disable()
        if self.took.get((row, variant), WARM) < WARM:
            r.once(r.variants[variant])         # as mls does: a turn begins with a run
            r.forget()                          # that does not count
        begin, middle, end = r.once(r.variants[variant])
        gc.enable()
        r.forget()
        self.took[row, variant] = end[0] - begin[0]
        return {"forward": middle[0] - begin[0], "backward": end[0] - middle[0],
                "forward_cpu": middle[1] - begin[1], "backward_cpu": end[1] - middle[1]}

    def close(self, row):
        self.rows.pop(row, None)
        gc.collect()
        return {}

    def answer(self, q):
        for verb in ("hello", "open", "check", "run", "close"):
            if verb in q:
                rest = {k: v for k, v in q.items() if k != verb}
                return getattr(self, verb)(q[verb], **rest)
        raise ValueError("no such request: %s" % q)


def main():
    to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)                               # a package that prints must not answer
    server = Server()
    for line in sys.stdin:
        try:
            out = server.answer(json.loads(line))
        except Exception as error:
            traceback.print_exc()
            out = {"failed": "%s: %s" % (type(error).__name__, error)}
        to.write(json.dumps(out) + "\n")
        to.flush()


if __name__ == "__main__":
    main()
