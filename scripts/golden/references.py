"""The implementations that mls is compared with, behind one interface, in float64.

A Reference has
  label    where the formula comes from; "definition" where this file writes it down,
           because there is no implementation that runs here or it has no states
  weights  {name in mls: tensor}, leaves of the graph, rounded to float32
  states   {name in mls: width}; start(generator) gives their initial values
  counts   how many numbers at the end of its states are counts
  run      (x [B][T][n], dt [B][T][1], {state: [B][width]}) -> ({port: [B][T][n]},
           states)
"""
import contextlib
import importlib.util
import math
import os
import sys
import types
import warnings

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import stateless

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import snntorch
    from snntorch import surrogate
from mambapy.mamba import MambaBlock, MambaConfig
from ncps import wirings
from ncps.torch.cfc_cell import CfCCell
from ncps.torch.lstm import LSTMCell
from ncps.torch.ltc_cell import LTCCell
from ncps.torch.wired_cfc_cell import WiredCfCCell
from spikingjelly.activation_based import neuron as jelly

# Folders of clones whose files are run as they are: "mamba" of state-spaces/mamba, "s4"
# of state-spaces/s4.  parity.py fills it.
clones = {}


def file_of(clone, path, **absent):
    """The module in that file; `absent` are names of modules it imports but that are
    not needed (dots as __), and what they have to offer."""
    for name, parts in absent.items():
        name = name.replace("__", ".")
        for k in range(1, name.count(".") + 2):
            sys.modules.setdefault(".".join(name.split(".")[:k]),
                                   types.ModuleType("absent"))
        vars(sys.modules[name]).update(parts)
    spec = importlib.util.spec_from_file_location(
        os.path.basename(path)[:-3], os.path.join(clones[clone], path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Reference:
    def __init__(self, label, states, run, weights, start=None, counts=0):
        self.label, self.states, self.run, self.weights = label, states, run, weights
        self.start_of = start or {}
        self.counts = counts

    def start(self, samples):
        """Initial states; a state whose rule is None begins as mls begins it."""
        out = {}
        for name, width in self.states.items():
            rule = self.start_of.get(name, lambda *shape: 0.3 * torch.randn(*shape))
            if rule:
                out[name] = rule(samples, width).float().double()
        return out


def exact(module):
    """The module in float64, with weights that float32 holds exactly."""
    module.double()
    for p in module.parameters():
        p.data = p.data.float().double()
    return module


def trained(module, rename=lambda name: name):
    return {rename(name): p for name, p in exact(module).named_parameters()
            if p.requires_grad}


def leaf(*shape, scale=1.0, shift=0.0):
    x = (scale * torch.randn(*shape) + shift).float().double()
    return x.requires_grad_()


def through_time(step):
    """step(x_t, dt_t, states) -> (outputs, states), over all steps."""
    def run(x, dt, states):
        seen = {}
        for t in range(x.shape[1]):
            out, states = step(x[:, t], dt[:, t], states)
            for port, y in out.items():
                seen.setdefault(port, []).append(y)
        return {port: torch.stack(y, 1) for port, y in seen.items()}, states
    return run


# ---- ncps ----------------------------------------------------------------------------

def cfc(n, units, backbone, layers, mode="default", mixed=False,
        activation="lecun_tanh"):
    cell = CfCCell(n, units, mode, activation, backbone, layers)
    weights = trained(cell)
    lstm = LSTMCell(n, units) if mixed else None
    if mixed:
        weights.update(trained(lstm, lambda name: "lstm." + name))

    def step(x, dt, s):
        h, new = s["h"], {}
        if mixed:
            h, new["c"] = lstm(x, (h, s["c"]))
        h, _ = cell(x, h, dt)
        return {"out": h}, {"h": h, **new}
    states = {"h": units, "c": units} if mixed else {"h": units}
    label = "ncps, torch/cfc_cell.py, CfCCell"
    if mixed:
        label += " after torch/lstm.py, LSTMCell"
    return Reference(label, states, through_time(step), weights)


def ltc(n, wiring, softplus):
    cell = LTCCell(wiring, n, implicit_param_constraints=softplus)
    weights = trained(cell)

    def step(x, dt, s):
        y, v = cell(x, s["v"], dt)
        return {"out": y}, {"v": v}
    return Reference("ncps, torch/ltc_cell.py, LTCCell", {"v": wiring.units},
                     through_time(step), weights)


def wired_cfc(n, wiring, mode="default"):
    cell = WiredCfCCell(n, wiring, mode)
    weights = trained(cell)

    def step(x, dt, s):
        y, h = cell(x, s["h"], dt)
        return {"out": y}, {"h": h}
    return Reference("ncps, torch/wired_cfc_cell.py, WiredCfCCell",
                     {"h": wiring.units}, through_time(step), weights)


# ---- PyTorch -------------------------------------------------------------------------

def gru(n, units):
    net = nn.GRU(n, units, batch_first=True)

    def run(x, dt, s):
        y, h = net(x, s["h"][None].contiguous())
        return {"out": y}, {"h": h[0]}
    return Reference("torch.nn.GRU", {"h": units}, run, trained(net))


def lstm(n, units):
    net = nn.LSTM(n, units, batch_first=True)

    def run(x, dt, s):
        y, (h, c) = net(x, (s["h"][None].contiguous(), s["c"][None].contiguous()))
        return {"out": y}, {"h": h[0], "c": c[0]}
    return Reference("torch.nn.LSTM", {"h": units, "c": units}, run, trained(net))


def two_ways(n, units):
    """torch's GRU in both directions, and a linear layer over both."""
    net, out = nn.GRU(n, units, batch_first=True, bidirectional=True), \
        nn.Linear(2 * units, n)
    weights = trained(net, lambda name: "backward." + name.replace("_reverse", "")
                      if name.endswith("_reverse") else "forward." + name)
    weights.update(trained(out, lambda name: "out_proj." + name))

    def run(x, dt, s):
        y, h = net(x)
        return {"out": out(y)}, {"forward.h": h[0], "backward.h": h[1]}
    names = ("forward.h", "backward.h")
    return Reference("torch.nn.GRU, bidirectional, and torch.nn.Linear",
                     dict.fromkeys(names), run, weights, dict.fromkeys(names))


def experts(n, k, normalise):
    """A multilayer perceptron, a GRU, another perceptron.  Each computes the steps that
    were routed to it and no others, as an implementation that gathers them would."""
    def perceptron():
        return nn.Sequential(nn.Linear(n, 4 * n), nn.GELU(), nn.Linear(4 * n, n))
    router = exact(nn.Linear(n, 3, bias=False))
    net = [perceptron(), nn.GRU(n, n, batch_first=True), perceptron()]
    weights = {"router.weight": router.weight}
    for e, module in enumerate(net):
        weights.update(trained(module, lambda name, e=e: "expert%d.%s" % (
            e, name.replace("0.", "up.").replace("2.", "down.")
            if e != 1 else name)))

    def run(x, dt, s):
        logits = router(x)
        top, chosen = logits.topk(k, -1)
        gate = top.softmax(-1) if normalise else logits.softmax(-1).gather(-1, chosen)
        y, last = torch.zeros_like(x), []
        for b in range(x.shape[0]):
            h = s["expert1.h"][b:b + 1]
            for e, module in enumerate(net):
                step, place = (chosen[b] == e).nonzero(as_tuple=True)
                part = x[b, step]
                if e == 1 and len(step):
                    part, h = module(part[None], h[None].contiguous())
                    part, h = part[0], h[0]
                elif e != 1:
                    part = module(part)
                y[b] = y[b].index_add(0, step, part * gate[b, step, place, None])
            last.append(h)
        return {"out": y}, {"expert1.h": torch.cat(last)}
    return Reference("definition (top-k routing as in Jiang et al. 2024), of torch.nn.GRU "
                     "and torch.nn.Linear", {"expert1.h": n}, run, weights)


def within(T, window):
    """True where step t (row) may not see step s."""
    ago = torch.arange(T)[:, None] - torch.arange(T)[None, :]
    return (ago < 0) | (ago >= window)


def kept(k, v, window):
    """The state of mixer.attention: the last keys and values, and their number."""
    B, T, D = k.shape
    rows = torch.zeros(B, window, 2 * D, dtype=k.dtype)
    n = min(T, window)
    rows[:, window - n:] = torch.cat([k, v], 2)[:, T - n:]
    count = torch.tensor([float(T), 0.0], dtype=k.dtype).expand(B, 2)
    return torch.cat([rows.reshape(B, -1), count], 1)


def attention(n, heads, window):
    net = nn.MultiheadAttention(n, heads, batch_first=True)
    nn.init.normal_(net.in_proj_bias)
    nn.init.normal_(net.out_proj.bias)

    def run(x, dt, s):
        y, _ = net(x, x, x, attn_mask=within(x.shape[1], window), need_weights=False)
        q, k, v = F.linear(x, net.in_proj_weight, net.in_proj_bias).chunk(3, 2)
        return {"out": y}, {"kv": kept(k, v, window)}
    return Reference("torch.nn.MultiheadAttention", {"kv": None}, run,
                     trained(net, lambda name: name.replace("in_proj_", "in_proj.")),
                     {"kv": None}, counts=2)


def rotary(n, heads, window):
    w, b = leaf(3 * n, n, scale=n ** -0.5), leaf(3 * n)
    wo, bo = leaf(n, n, scale=n ** -0.5), leaf(n)
    d = n // heads

    def turned(x):
        half = d // 2
        speed = 10000.0 ** (-2.0 * torch.arange(half, dtype=x.dtype) / d)
        angle = torch.arange(x.shape[2], dtype=x.dtype)[:, None] * speed
        a, b, rest = x[..., :half], x[..., half:2 * half], x[..., 2 * half:]
        return torch.cat([a * angle.cos() - b * angle.sin(),
                          b * angle.cos() + a * angle.sin(), rest], -1)

    def run(x, dt, s):
        B, T, _ = x.shape
        q, k, v = (y.reshape(B, T, heads, d).transpose(1, 2)
                   for y in F.linear(x, w, b).chunk(3, 2))
        q, k = turned(q), turned(k)
        score = (q @ k.transpose(2, 3)) / math.sqrt(d)
        score = score.masked_fill(within(T, window), -math.inf)
        y = (score.softmax(3) @ v).transpose(1, 2).reshape(B, T, n)
        flat = [z.transpose(1, 2).reshape(B, T, n) for z in (k, v)]
        return {"out": F.linear(y, wo, bo)}, {"kv": kept(*flat, window)}
    return Reference("definition (softmax attention, rotary of Su et al. 2021)",
                     {"kv": None}, run,
                     {"in_proj.weight": w, "in_proj.bias": b, "out_proj.weight": wo,
                      "out_proj.bias": bo}, {"kv": None}, counts=2)


# ---- state space models --------------------------------------------------------------

@contextlib.contextmanager
def double_float():
    """mambapy computes A and D as float(); keep them in float64."""
    was = torch.Tensor.float
    torch.Tensor.float = lambda x: x
    try:
        yield
    finally:
        torch.Tensor.float = was


def mamba(n, state, conv=4, expand=2):
    block = MambaBlock(MambaConfig(n, 1, d_state=state, d_conv=conv,
                                   expand_factor=expand))
    nn.init.normal_(block.D)
    block.A_log.data += 0.3 * torch.randn_like(block.A_log)
    weights, E = trained(block), expand * n

    def step(x, dt, s):
        past = s["conv"].reshape(-1, conv - 1, E).transpose(1, 2)
        h = s["ssm"].reshape(-1, E, state)
        with double_float():
            y, (h, past) = block.step(x, (h, past))
        return {"out": y}, {"conv": past.transpose(1, 2).reshape(len(x), -1),
                            "ssm": h.reshape(len(x), -1)}
    return Reference("mambapy, mamba.py, MambaBlock.step",
                     {"conv": (conv - 1) * E, "ssm": E * state}, through_time(step),
                     weights)


def mamba_whole(n, state, conv=4, expand=2):
    """The same block by its parallel scan; it neither takes nor gives states."""
    block = MambaBlock(MambaConfig(n, 1, d_state=state, d_conv=conv,
                                   expand_factor=expand))

    def run(x, dt, s):
        with double_float():
            return {"out": block(x)}, {}
    return Reference("mambapy, mamba.py, MambaBlock.forward (pscan)", {}, run,
                     trained(block))


def mamba2_weights(n, E, GN, H, conv):
    W = E + 2 * GN
    return {"in_proj.weight": leaf(E + W + H, n, scale=n ** -0.5),
            "conv1d.weight": leaf(W, 1, conv, scale=0.4),
            "conv1d.bias": leaf(W, scale=0.3),
            "dt_bias": leaf(H, shift=-2.0), "A_log": leaf(H, scale=0.5, shift=0.5),
            "D": leaf(H), "norm.weight": leaf(E, scale=0.3, shift=1.0),
            "out_proj.weight": leaf(n, E, scale=E ** -0.5)}


def gated(y, z, groups, w):
    """The norm of Mamba-2 and its output projection; y, z [..][E]."""
    y = (y * F.silu(z)).unflatten(-1, (groups, -1))
    y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-5)
    return F.linear(y.flatten(-2) * w["norm.weight"], w["out_proj.weight"])


def mamba2(n, state, head, groups=1, conv=4, expand=2):
    E, GN = expand * n, groups * state
    H, W = E // head, E + 2 * GN
    w = mamba2_weights(n, E, GN, H, conv)

    def step(u, dt, s):
        B = len(u)
        z, xbc, r = F.linear(u, w["in_proj.weight"]).split([E, W, H], 1)
        past = torch.cat([s["conv"].reshape(B, conv - 1, W), xbc[:, None]], 1)
        xbc = F.silu((past * w["conv1d.weight"][:, 0].T).sum(1) + w["conv1d.bias"])
        x, b, c = xbc.split([E, GN, GN], 1)
        x = x.reshape(B, H, head)
        b, c = (y.reshape(B, groups, state).repeat_interleave(H // groups, 1)
                for y in (b, c))
        dt = F.softplus(r + w["dt_bias"])
        decay = torch.exp(-dt * w["A_log"].exp())
        S = s["ssm"].reshape(B, H, state, head)
        S = decay[..., None, None] * S \
            + (dt[..., None] * b)[..., None] * x[:, :, None, :]
        y = (c[..., None] * S).sum(2) + w["D"][:, None] * x
        y = gated(y.reshape(B, E), z, groups, w)
        return {"out": y}, {"conv": past[:, 1:].reshape(B, -1), "ssm": S.reshape(B, -1)}
    return Reference("definition (Dao, Gu 2024, recurrent form of SSD)",
                     {"conv": (conv - 1) * W, "ssm": E * state}, through_time(step), w)


def mamba2_ssd(n, state, head, groups=1, conv=4, expand=2, block=64):
    """The scan is the published file's, in blocks; what is around it, this file's."""
    E, GN = expand * n, groups * state
    H, W = E // head, E + 2 * GN
    w = mamba2_weights(n, E, GN, H, conv)
    fused = {"mamba_chunk_scan_combined": None}
    ssd = file_of("mamba", "mamba_ssm/modules/ssd_minimal.py",
                  mamba_ssm__ops__triton__ssd_combined=fused)

    def run(u, _, s):
        B, T, _ = u.shape
        z, xbc, r = F.linear(u, w["in_proj.weight"]).split([E, W, H], 2)
        past = torch.cat([s["conv"].reshape(B, conv - 1, W), xbc], 1)
        xbc = F.silu(F.conv1d(past.transpose(1, 2), w["conv1d.weight"],
                              w["conv1d.bias"], groups=W)).transpose(1, 2)
        x, b, c = xbc.split([E, GN, GN], 2)
        x = x.reshape(B, T, H, head)
        b, c = (y.reshape(B, T, groups, state).repeat_interleave(H // groups, 2)
                for y in (b, c))
        dt = F.softplus(r + w["dt_bias"])
        # steps without input and decay fill the last block
        full = [F.pad(y, (0, 0) * (y.dim() - 2) + (0, -T % block))
                for y in (x * dt[..., None], -dt * w["A_log"].exp(), b, c)]
        first = s["ssm"].reshape(B, 1, H, state, head).transpose(3, 4)
        y, last = ssd.ssd_minimal_discrete(*full, block, first)
        y = y[:, :T] + w["D"][:, None] * x
        return {"out": gated(y.reshape(B, T, E), z, groups, w)}, \
            {"conv": past[:, T:].reshape(B, -1),
             "ssm": last.transpose(2, 3).reshape(B, -1)}
    return Reference("state-spaces/mamba, ssd_minimal.py, ssd_minimal_discrete",
                     {"conv": (conv - 1) * W, "ssm": E * state}, run, w)


def s4d_weights(n, M):
    return {"kernel.log_dt": leaf(n, scale=0.7, shift=-3.0),
            "kernel.log_A_real": leaf(n, M, scale=0.3, shift=-0.7),
            "kernel.A_imag": leaf(n, M, scale=3.0), "kernel.C": leaf(n, 2 * M),
            "D": leaf(n), "output_linear.weight": leaf(2 * n, n, scale=n ** -0.5),
            "output_linear.bias": leaf(2 * n)}


def s4d_whole(n, state):
    """The published module, a convolution; it neither takes nor gives states."""
    s4 = file_of("s4", "models/s4/s4d.py", src__models__nn={"DropoutNd": nn.Dropout})
    net, w = exact(s4.S4D(n, state)), s4d_weights(n, state // 2)

    def run(x, dt, s):
        shaped = {name: v for name, v in w.items() if "output" not in name}
        shaped["kernel.C"] = w["kernel.C"].reshape(n, -1, 2)
        shaped["output_linear.0.weight"] = w["output_linear.weight"][:, :, None]
        shaped["output_linear.0.bias"] = w["output_linear.bias"]
        y, _ = stateless.functional_call(net, shaped, (x.transpose(1, 2),))
        return {"out": y.transpose(1, 2)}, {}
    return Reference("state-spaces/s4, models/s4/s4d.py, S4D", {}, run, w)


def s4d(n, state):
    M = state // 2
    w = s4d_weights(n, M)

    def step(u, dt, s):
        B = len(u)
        A = torch.complex(-w["kernel.log_A_real"].exp(), w["kernel.A_imag"])
        C = torch.view_as_complex(w["kernel.C"].reshape(n, M, 2))
        Abar = torch.exp(w["kernel.log_dt"].exp()[:, None] * A)
        parts = s["ssm"].reshape(B, M, 2, n).permute(0, 3, 1, 2).contiguous()
        h = Abar * torch.view_as_complex(parts) + u[..., None]
        y = 2 * (C * (Abar - 1) / A * h).real.sum(2) + w["D"] * u
        y = F.linear(F.gelu(y), w["output_linear.weight"], w["output_linear.bias"])
        back = torch.view_as_real(h).permute(0, 2, 3, 1).reshape(B, -1)
        return {"out": F.glu(y, 1)}, {"ssm": back}
    return Reference("definition (Gu et al. 2022, zero-order hold)", {"ssm": n * state},
                     through_time(step), w)


def linear_attention(n, heads, decay=False, rms=False, gate=False):
    d = n // heads
    w = {"in_proj.weight": leaf((4 if gate else 3) * n, n, scale=n ** -0.5),
         "out_proj.weight": leaf(n, n, scale=n ** -0.5)}
    if decay:
        w["decay"] = leaf(heads, shift=3.0)

    def step(x, dt, s):
        B = len(x)
        q, k, v, *g = F.linear(x, w["in_proj.weight"]).chunk(4 if gate else 3, 1)
        q, k = (F.elu(y).reshape(B, heads, d) + 1 for y in (q, k))
        v = v.reshape(B, heads, d)
        a = torch.sigmoid(w["decay"])[:, None] if decay else torch.ones(1, 1).double()
        S = a[..., None] * s["kv"].reshape(B, heads, d, d) \
            + k[..., None] * v[:, :, None]
        y, new = (q[..., None] * S).sum(2), {"kv": S.reshape(B, -1)}
        if rms:
            y = y * torch.rsqrt(y.pow(2).mean(2, keepdim=True) + 1e-5)
        else:
            z = a * s["keysum"].reshape(B, heads, d) + k
            y = y / ((q * z).sum(2, keepdim=True) + 1e-6)
            new["keysum"] = z.reshape(B, -1)
        y = y.reshape(B, n) * (F.silu(g[0]) if gate else 1.0)
        return {"out": F.linear(y, w["out_proj.weight"])}, new
    states = {"kv": n * d} if rms else {"kv": n * d, "keysum": n}
    return Reference("definition (" + ("Sun et al. 2023" if rms else
                                       "Katharopoulos et al. 2020") + ")", states,
                     through_time(step), w, {"keysum": lambda *s: 1 + torch.rand(*s)})


# ---- spiking neurons -----------------------------------------------------------------

SURROGATE = {"fast_sigmoid": surrogate.fast_sigmoid(25), "atan": surrogate.atan(2.0),
             "sigmoid": surrogate.sigmoid(25)}


def fires(name):
    """snnTorch gives spikes in float32, which does not go together with float64."""
    return lambda drive: SURROGATE[name](drive).double()


def currents(n, units):
    """The projection in front of the neurons, with enough weight that they fire."""
    net = nn.Linear(n, units)
    net.weight.data *= 1.5
    net.bias.data += 0.1
    return net, trained(net)


def leaky(n, units, surrogate, reset="subtract", learn=False):
    net, weights = currents(n, units)
    beta = torch.linspace(0.6, 0.95, units) if learn else 0.9
    neuron = snntorch.Leaky(beta, spike_grad=fires(surrogate), reset_mechanism=reset,
                            learn_beta=learn, learn_threshold=learn)
    weights.update(trained(neuron))

    def step(x, dt, s):
        spikes, v = neuron(net(x), s["v"])
        return {"spikes": spikes, "membrane": v}, {"v": v}
    return Reference("snntorch, _neurons/leaky.py, Leaky", {"v": units},
                     through_time(step), weights)


def synaptic(n, units, surrogate, reset="subtract"):
    net, weights = currents(n, units)
    neuron = exact(snntorch.Synaptic(0.5, 0.8, spike_grad=fires(surrogate),
                                     reset_mechanism=reset))

    def step(x, dt, s):
        spikes, i, v = neuron(net(x), s["i"], s["v"])
        return {"spikes": spikes, "membrane": v}, {"v": v, "s": spikes, "i": i}
    # nothing is above the threshold at the start, as s is zero there
    below = {"v": lambda *shape: 0.9 * torch.rand(*shape),
             "s": lambda *shape: torch.zeros(*shape)}
    return Reference("snntorch, _neurons/synaptic.py, Synaptic",
                     {"v": units, "s": units, "i": units}, through_time(step), weights,
                     below)


def recurrent(n, units, surrogate, all_to_all):
    net, weights = currents(n, units)
    V = torch.linspace(-0.5, 0.5, units)
    neuron = snntorch.RLeaky(0.8, V=V, all_to_all=all_to_all,
                             linear_features=units if all_to_all else None,
                             spike_grad=fires(surrogate), reset_mechanism="subtract")
    names = {"recurrent.weight": "recurrent", "recurrent.bias": "recurrent_bias",
             "recurrent.V": "recurrent", "V": "recurrent"}
    weights.update(trained(neuron, lambda name: names[name]))

    def step(x, dt, s):
        spikes, v = neuron(net(x), s["s"], s["v"])
        return {"spikes": spikes, "membrane": v}, {"v": v, "s": spikes}
    below = {"v": lambda *shape: 0.9 * torch.rand(*shape),
             "s": lambda *shape: torch.zeros(*shape)}
    return Reference("snntorch, _neurons/rleaky.py, RLeaky",
                     {"v": units, "s": units}, through_time(step), weights, below)


def alif(n, units, surrogate, strength=1.8):
    net, weights = currents(n, units)
    fire = fires(surrogate)
    alpha, rho = (torch.tensor(x).double() for x in (0.9, 0.96))     # float32's

    def step(x, dt, s):
        u, z, a = s["v"], s["s"], s["a"]
        u = alpha * u + net(x) - (1 + strength * a) * z.detach()
        a = rho * a + (1 - rho) * z
        spikes = fire(u - (1 + strength * a))
        return {"spikes": spikes, "membrane": u}, {"v": u, "s": spikes, "a": a}
    start = {"v": lambda *s: 0.9 * torch.rand(*s), "s": lambda *s: torch.zeros(*s),
             "a": lambda *s: 0.2 * torch.rand(*s)}
    return Reference("definition (Bellec et al. 2018, eqs. 1-3)",
                     {"v": units, "s": units, "a": units}, through_time(step), weights,
                     start)


def plif(n, units, surrogate, hard):
    net, weights = currents(n, units)
    own = jelly.surrogate.ATan(2.0) if surrogate == "atan" else fires(surrogate)
    drive = []

    def seen(x):
        """What the node fires by: its potential less the threshold of 1."""
        drive[:] = [x]
        return own(x)

    node = exact(jelly.ParametricLIFNode(v_reset=0.0 if hard else None,
                                         surrogate_function=seen, detach_reset=True))
    node.w = nn.Parameter(leaf(1).detach())

    def step(x, dt, s):
        # all states start below the threshold, with no spike before
        node.v = node.v if drive else s["v"]
        spikes = node(net(x))
        u = drive[0] + 1
        return {"spikes": spikes, "membrane": u}, {"v": u, "s": spikes}

    def run(x, dt, s):
        drive.clear()
        return through_time(step)(x, dt, s)
    below = {"v": lambda *s: 0.9 * torch.rand(*s), "s": lambda *s: torch.zeros(*s)}
    weights["tau"] = node.w
    return Reference("spikingjelly, activation_based/neuron.py, ParametricLIFNode",
                     {"v": units, "s": units}, run, weights, below)
