#!/usr/bin/env python3
"""Compares mls with the implementations that its components were written after.

For each case the reference runs in float64 on random weights, inputs, initial states
and gradients of outputs and final states, mls trace on the same numbers in float32.
Prints a Markdown table of the largest errors, each relative to the largest magnitude of
its tensor.  Exit status 1 if one is above its tolerance.  setup.sh fetches the rest.

  parity.py --mls build/mls                 all cases
  parity.py --mls build/mls cfc mamba       cases with these words in their names
  parity.py --mls build/mls --fixtures tests/golden
  parity.py --mls build/mls --mamba DIR --s4 DIR
                                            with files of clones of state-spaces/mamba
                                            and state-spaces/s4, which else are left out
"""
import argparse
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import torch

import cases
import references

OUTPUT, GRADIENT, LONG = 1e-5, 1e-4, 1e-4


def rounded(*shape, scale=1.0):
    return (scale * torch.randn(*shape)).float().double()


def draw_mask(B, T):
    """Real steps: the last sample ends early, and all but the first have holes."""
    mask = (torch.rand(B, T) < 0.85).double()
    mask[0] = 1
    for b in range(B):
        mask[b, T - b * T // (B + 1):] = 0
    return mask


class Experiment:
    """The numbers of one case and what the reference makes of them."""

    def __init__(self, case):
        torch.manual_seed(case.seed)
        self.case, self.reference = case, case.make()
        B, T = case.B, case.T
        self.x = rounded(B, T, case.n, scale=case.scale)
        self.dt = (0.05 + torch.empty(B, T, 1).exponential_()).float().double() \
            if case.dt else torch.ones(B, T, 1).double()
        self.mask = draw_mask(B, T) if case.mask else torch.ones(B, T).double()
        self.state0 = self.reference.start(B)
        self.out, self.state, self.grad = {}, {}, {}
        if case.grad:
            for tensor in [self.x, *self.state0.values()]:
                tensor.requires_grad_()
        with torch.set_grad_enabled(case.grad):
            self.run()
            if case.grad:
                self.backward()

    def run(self):
        """Each sample by itself on its real steps if there is a mask."""
        case = self.case
        if not case.mask:
            states = dict(self.state0)
            self.out, self.state = self.reference.run(self.x, self.dt, states)
            return
        states = []
        for b in range(case.B):
            real = self.mask[b].nonzero()[:, 0]
            out, state = self.reference.run(
                self.x[b:b + 1, real], self.dt[b:b + 1, real],
                {name: s[b:b + 1] for name, s in self.state0.items()})
            for port, y in out.items():
                at = self.out.setdefault(port, [])
                at.append(torch.zeros(case.T, y.shape[2]).double().index_copy(
                    0, real, y[0].double()))
            states.append(state)
        self.out = {port: torch.stack(y) for port, y in self.out.items()}
        self.state = {name: torch.cat([s[name] for s in states]) for name in states[0]}

    def backward(self):
        self.seed_out = {port: rounded(*y.shape) * self.mask[:, :, None]
                         for port, y in self.out.items()}
        self.seed_state = {name: rounded(*s.shape) for name, s in self.state.items()
                           if s.requires_grad and name in self.state0}
        loss = sum((self.out[p] * g).sum() for p, g in self.seed_out.items())
        loss = loss + sum((self.state[n] * g).sum() for n, g in self.seed_state.items())
        loss.backward()
        self.grad["grad/in/in"] = self.x.grad
        for name, s in self.state0.items():
            if s.grad is not None:
                self.grad["grad/state/" + name] = s.grad
        for name, w in self.reference.weights.items():
            self.grad["grad/weight/" + name] = w.grad

    def tensors(self):
        """Weights and input as mls reads them, and what it should make of them."""
        w = dict(self.reference.weights)
        x = {"in/in": self.x}
        if self.case.dt:
            x["dt"] = self.dt[:, :, 0]
        if self.case.mask:
            x["mask"] = self.mask
        x.update({"state/" + name: s for name, s in self.state0.items()})
        y = {"out/" + port: v for port, v in self.out.items()}
        y.update({"state/" + name: s for name, s in self.state.items()})
        if self.case.grad:
            x.update({"grad_out/" + p: g for p, g in self.seed_out.items()})
            x.update({"grad_state/" + n: g for n, g in self.seed_state.items()})
            y.update(self.grad)
        return [{name: np.ascontiguousarray(t.detach().numpy())
                 for name, t in part.items()} for part in (w, x, y)]


def write(path, tensors, dtype):
    with h5py.File(path, "w", libver="latest") as f:
        for name, value in tensors.items():
            f[name] = value.astype(dtype)


def trace(mls, case, directory, weights, x):
    files = [os.path.join(directory, name) for name in ("w.h5", "x.h5", "y.h5")]
    write(files[0], weights, "f8")
    write(files[1], x, "f4")
    command = [mls, "trace", case.spec, "--weights", files[0], "--input", files[1],
               "--output", files[2]] + (["--grad"] if case.grad else [])
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    y = {}
    with h5py.File(files[2], "r") as f:
        f.visititems(lambda name, node: y.__setitem__(name, node[()])
                     if isinstance(node, h5py.Dataset) else None)
    return y


def distance(a, b):
    size = np.abs(a).max()
    far = np.abs(a - b).max() / (size if size else 1.0)
    return float(far) if np.isfinite(far) else np.inf


def errors(case, mask, want, got, counts):
    """{group: (largest relative error, its tensor)}."""
    worst = {}
    for name, a in want.items():
        b = got[name].reshape(a.shape).astype("f8")
        if case.mask and name.startswith("out/"):
            b = b * mask[:, :, None]        # what stands at padded steps is nobody's
        far = distance(a, b)
        if counts and name.startswith("state/"):     # large, and they must be exact
            same = (a[:, -counts:] == b[:, -counts:]).all()
            far = distance(a[:, :-counts], b[:, :-counts]) if same else np.inf
        group = "/".join(name.split("/")[:-1])
        if group not in worst or far > worst[group][0]:
            worst[group] = (far, name.split("/")[-1])
    return worst


def tolerance(case, group):
    if group.startswith("grad"):
        return GRADIENT
    return LONG if case.T >= 4096 else OUTPUT


def row(case, label, worst, bad, again):
    """The component is named in the first of its rows."""
    first = " | " if again else "`%s` | %s" % (case.spec, label)
    size = "%d x %d x %d" % (case.B, case.T, case.n)
    notes = [w for w, on in (("dt", case.dt), ("mask", case.mask)) if on]
    cells = []
    for group in ("out", "state", "grad/in", "grad/state", "grad/weight"):
        far, name = worst.get(group, (None, ""))
        text = "" if far is None else "%.1e" % far
        if group == "grad/weight" and text:
            text += " (%s)" % name
        cells.append("**%s**" % text if group in bad else text)
    return "| %s | %s | %s |" % (first, ", ".join([size] + notes), " | ".join(cells))


HEAD = """| component | reference | samples x steps x features | outputs | states \
| inputs' gradient | states' gradient | worst weight's gradient |
|---|---|---|---|---|---|---|---|"""


def compare(case, mls, directory, before):
    e = Experiment(case)
    weights, x, want = e.tensors()
    got = trace(mls, case, directory, weights, x)
    worst = errors(case, e.mask.numpy(), want, got, e.reference.counts)
    bad = [g for g, (far, _) in worst.items() if far > tolerance(case, g)]
    again = before == (case.spec, case.n, e.reference.label)
    print(row(case, e.reference.label, worst, bad, again), flush=True)
    return not bad, (case.spec, case.n, e.reference.label)


def fixture(case, folder):
    """NAME-w.h5, -x.h5 and -y.h5: weights, input, and what comes of them."""
    for tensors, end in zip(Experiment(case).tensors(), "wxy"):
        write(os.path.join(folder, "%s-%s.h5" % (case.name, end)), tensors, "f4")
    return "%s %s\n" % (case.name, case.spec)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mls", default="mls", help="the program")
    parser.add_argument("--fixtures", metavar="FOLDER", help="write small cases there")
    for clone in ("mamba", "s4"):
        parser.add_argument("--" + clone, metavar="DIR",
                            help="a clone of state-spaces/%s" % clone)
    parser.add_argument("words", nargs="*")
    args = parser.parse_args()
    torch.set_num_threads(1)
    chosen = [c for c in (cases.small() if args.fixtures else cases.large())
              if not args.words or any(w in c.name for w in args.words)]
    references.clones.update({k: v for k, v in (("mamba", args.mamba), ("s4", args.s4))
                              if v})
    for c in chosen:
        if c.needs and c.needs not in references.clones and not (c.mask or c.T > 256):
            print("%s: left out, it needs --%s DIR" % (c.name, c.needs),
                  file=sys.stderr)
    chosen = [c for c in chosen if not c.needs or c.needs in references.clones]
    if args.fixtures:
        lines = [fixture(c, args.fixtures) for c in chosen]
        with open(os.path.join(args.fixtures, "cases.txt"), "w") as f:
            f.writelines(lines)
        return 0
    print(HEAD)
    failed, before = 0, None
    with tempfile.TemporaryDirectory() as directory:
        for case in chosen:
            try:
                fits, before = compare(case, args.mls, directory, before)
                failed += not fits
            except RuntimeError as e:
                print("%s: %s" % (case.name, e), file=sys.stderr)
                failed += 1
    print("%d of %d cases are within tolerance" % (len(chosen) - failed, len(chosen)),
          file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
