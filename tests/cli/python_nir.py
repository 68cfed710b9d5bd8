"""Compares NIR files of mls with Python's nir package, in both directions.

  python_nir.py MLS FOLDER        for each encoder: train, export, nir.read, the spikes of
                                  Euler's rule on the graph against mls trace, nir.write,
                                  import
  python_nir.py --fixture FILE    writes the graph that nir-graph-t.c reads
"""
import os
import subprocess
import sys

import h5py
import nir
import numpy as np

DT = 0.002
CONFIG = """step_ms: 2
seed: %d
task: { component: task.delayed_copy, length: 8, symbols: 4, delay: 2, training: 8,
        validation: 4, test: 4 }
network: { width: 8, layers: 1, nodes: { mix: { component: mixer.mlp },
           enc: { component: encoder.%s } }, wire: "input -> mix -> output; mix -> enc" }
train: { steps: 3, batch: 4, optimiser: adamw }
"""
ENCODERS = [("lif", {"threshold": 0.4, "learn_beta": "unit"}),
            ("synaptic", {"threshold": 0.4, "alpha": 0.6, "learn_alpha": "unit"}),
            ("synaptic", {"threshold": 0.4, "recurrent": "all_to_all"}),
            ("plif", {"threshold": 0.3, "learn_tau": "unit"}),
            ("plif", {"threshold": 0.3, "decay_input": False, "tau": 4}),
            ("rlif", {"threshold": 0.4}),
            ("rlif", {"threshold": 0.4, "recurrent": "one_to_one", "feedback": -0.3}),
            ("spike_mlp", {"threshold": 0.2, "hidden": 9, "dropout": 0})]


def spell(value):
    return {True: "true", False: "false"}.get(value, '"%s"' % value) \
        if isinstance(value, (bool, str)) else str(value)


def mls(program, folder, *words):
    done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit("mls %s: %s" % (" ".join(words), done.stderr))
    return done.stderr


def simulate(graph, x):
    """{neurons: spikes [T][n]} by Euler's forward rule; edges have no delay but those that
    lead back, which carry the spikes of the step before."""
    nodes = graph.nodes
    into = {name: [a for a, b in graph.edges if b == name] for name in nodes}
    v = {n: np.zeros(len(u.v_threshold)) for n, u in nodes.items()
         if isinstance(u, (nir.LIF, nir.CubaLIF))}
    current = {n: np.zeros(len(v[n])) for n in v}
    spikes = {n: np.zeros((len(x), len(v[n]))) for n in v}

    def value(name, t, seen):
        u = nodes[name]
        if isinstance(u, nir.Input):
            return x[t].astype(float)
        if name in v:
            if name in seen:
                return spikes[name][t - 1] if t else np.zeros(len(v[name]))
            return fire(name, t, seen)
        total = sum(value(a, t, seen) for a in into[name])
        if isinstance(u, nir.Output):
            return total
        return u.weight @ total + (u.bias if isinstance(u, nir.Affine) else 0)

    fired = {}

    def fire(name, t, seen):
        if fired.get(name) == t:
            return spikes[name][t]
        u = nodes[name]
        i = sum(value(a, t, seen | {name}) for a in into[name])
        if isinstance(u, nir.CubaLIF):
            current[name] += DT / u.tau_syn * (-current[name] + u.w_in * i)
            i, tau = current[name], u.tau_mem
        else:
            tau = u.tau
        v[name] += DT / tau * (u.v_leak - v[name] + u.r * i)
        spikes[name][t] = v[name] > u.v_threshold
        v[name] = np.where(spikes[name][t] > 0, u.v_reset, v[name])
        fired[name] = t
        return spikes[name][t]

    for t in range(len(x)):
        for name in v:
            fire(name, t, frozenset())
    return spikes


def one(program, folder, name, options):
    os.mkdir(folder)
    options = dict(options, units=6, reset="zero")
    for seed in (1, 2):
        with open(os.path.join(folder, "c.yaml"), "w") as f:
            f.write(CONFIG % (seed, name + ", " + ", ".join(
                "%s: %s" % (k, spell(v)) for k, v in options.items())))
        mls(program, folder, "train", "c.yaml", "--out", "t%d" % seed, "--quiet")
    warned = mls(program, folder, "weights", "export", "t1", "-o", "a.nir")
    mls(program, folder, "weights", "export", "t1", "-o", "a.h5")
    graph = nir.read(os.path.join(folder, "a.nir"))
    x = np.cos(0.9 * np.arange(40 * 8) + 0.5).reshape(40, 8).astype("f4")
    with h5py.File(os.path.join(folder, "x.h5"), "w") as f:
        f["in/in"] = x[None]
    weights = {}
    with h5py.File(os.path.join(folder, "a.h5")) as f, \
            h5py.File(os.path.join(folder, "w.h5"), "w") as w:
        for key in f:
            if key.startswith("layer0.enc."):
                weights[key] = w[key[len("layer0.enc."):]] = f[key][()]
    mls(program, folder, "trace", "encoder.%s{%s}" % (name, ", ".join(
        "%s=%s" % (k, spell(v)) for k, v in options.items())), "--weights", "w.h5",
        "--input", "x.h5", "--output", "y.h5")
    with h5py.File(os.path.join(folder, "y.h5")) as f:
        got = f["out/spikes"][0]
    last = [a for a, b in graph.edges if isinstance(graph.nodes[b], nir.Output)][0]
    want = simulate(graph, x)[last]
    nir.write(os.path.join(folder, "b.nir"), graph)
    mls(program, folder, "weights", "import", "b.nir", "t2", "-o", "b-new.h5")
    mls(program, folder, "weights", "export", "b-new.h5", "-o", "b.h5")
    with h5py.File(os.path.join(folder, "b.h5")) as f:
        far = max(abs(f[key][()] - value).max() for key, value in weights.items())
    types = [type(n).__name__ for n in graph.nodes.values()]
    ok = (got == want).all() and want.sum() > 5 and far < 2e-6 and not warned
    print("%s - %s %s: %s; %d of %d spikes, %d differ; weights come back within %.1e%s"
          % ("ok" if ok else "not ok", name, options, " ".join(sorted(types)), want.sum(),
             want.size, (got != want).sum(), far, warned and "; " + warned))
    return ok


def fixture(path):
    rng = np.random.default_rng(1)

    def near(x, n):
        return x * (1 + 0.3 * rng.random(n))
    graph = nir.NIRGraph(
        nodes={"in": nir.Input({"input": np.array([8])}),
               "fc": nir.Affine(weight=rng.standard_normal((8, 8)) / 2,
                                bias=0.2 * rng.standard_normal(8)),
               "first": nir.LIF(tau=near(0.02, 8), r=near(8.0, 8), v_leak=near(0.1, 8),
                                v_threshold=near(0.5, 8), v_reset=np.zeros(8)),
               "linear": nir.Linear(weight=rng.standard_normal((6, 8)) + 0.6),
               "second": nir.CubaLIF(tau_syn=near(0.004, 6), tau_mem=near(0.015, 6),
                                     r=near(5.0, 6), v_leak=np.zeros(6),
                                     v_threshold=np.full(6, 0.4), v_reset=np.zeros(6),
                                     w_in=near(1.5, 6)),
               "back": nir.Affine(weight=0.3 * rng.standard_normal((6, 6)),
                                  bias=0.1 * rng.standard_normal(6)),
               "out": nir.Output({"output": np.array([6])})},
        edges=[("in", "fc"), ("fc", "first"), ("first", "linear"), ("linear", "second"),
               ("second", "back"), ("back", "second"), ("second", "out")])
    nir.write(path, graph)


if __name__ == "__main__":
    if sys.argv[1] == "--fixture":
        fixture(sys.argv[2])
    else:
        print("1..%d" % len(ENCODERS))
        sys.exit(not all([one(sys.argv[1], os.path.join(sys.argv[2], str(i)), *e)
                          for i, e in enumerate(ENCODERS)]))
