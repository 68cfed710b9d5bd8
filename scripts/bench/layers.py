"""Layers of the packages, untouched and with their loops over time unbound, beside the
best that plain PyTorch can do (functions.py).  A variant is a function of the sequence
[time][sample][feature] and the weights by mls's names; it may ask for [sample] first.

  shipped   as the package has it; its slices x[:, t] make backward quadratic in time
  package   the package's step in a loop over x.unbind()
  best      plain PyTorch, with gradients written by hand where that is faster
"""
import functools

import torch
import torch.nn.functional as F
from torch import nn

import functions as fn


def load(module, weights, prefix=""):
    """Gives a module the weights of the file, as parameters of its own."""
    own = dict(module.named_parameters())
    for name, value in weights.items():
        if name in own:
            own[name].data = value.detach().reshape(own[name].shape).clone()
    return module, {name: own[name] for name in weights if name in own}


class Variant:
    def __init__(self, name, label, run, weights, batch_first=False):
        self.name, self.label, self.run = name, label, run
        self.weights, self.batch_first = weights, batch_first
        self.alone = None                    # of a part: the part, what it is fed


def leaves(weights):
    return {name: w.clone().requires_grad_() for name, w in weights.items()}


# ---- snntorch ------------------------------------------------------------------------

def leaky_steps(neuron, steps):
    v, out = neuron.init_leaky(), []
    for x in steps:
        s, v = neuron(x, v)
        out.append(s)
    return torch.stack(out)


def lif(weights, need):
    def best(x, w):
        return fn.Leaky.apply(x, 0.9, 1.0, 25.0)
    if need("snntorch"):
        import snntorch
        neuron = snntorch.Leaky(0.9, spike_grad=snntorch.surrogate.fast_sigmoid(25))

        def shipped(x, w):
            v, out = neuron.init_leaky(), []
            for t in range(x.shape[1]):
                s, v = neuron(x[:, t], v)
                out.append(s)
            return torch.stack(out, 1)
        yield Variant("shipped", "snnTorch Leaky, x[:, t]", shipped, {}, True)
        yield Variant("package", "snnTorch Leaky", lambda x, w: leaky_steps(
            neuron, x.unbind(0)), {})
    yield Variant("best", "one function", best, {})


# ---- ncps ----------------------------------------------------------------------------

def cell_steps(cell, x, h, ts=None):
    out = []
    for t, step in enumerate(x.unbind(0)):
        y, h = cell(step, h, 1.0 if ts is None else ts[t])
        out.append(y)
    return torch.stack(out)


def cfc(weights, need):
    n = weights["ff1.weight"].shape[0]
    S = weights["backbone.0.weight"].shape[1] - n
    if need("ncps"):
        from ncps.torch import CfC
        whole = CfC(S, n, batch_first=True)
        module, own = load(whole.rnn_cell, weights)
        yield Variant("shipped", "ncps CfC", lambda x, w: whole(x)[0], own, True)
        yield Variant("package", "ncps CfCCell", lambda x, w: cell_steps(
            module, x, torch.zeros(x.shape[1], n)), own)
    yield Variant("best", "one function", lambda x, w: fn.cfc(x, w), leaves(weights))


def ltc(weights, need):
    n, S = weights["sigma"].shape[0], weights["sensory_sigma"].shape[0]
    if need("ncps"):
        from ncps import wirings
        from ncps.torch import LTC
        whole = LTC(S, wirings.FullyConnected(n, n), batch_first=True,
                    implicit_param_constraints=True)
        module, own = load(whole.rnn_cell, weights)
        yield Variant("shipped", "ncps LTC", lambda x, w: whole(x)[0], own, True)
        yield Variant("package", "ncps LTCCell", lambda x, w: cell_steps(
            module, x, torch.zeros(x.shape[1], n)), own)
    yield Variant("best", "one function", lambda x, w: fn.ltc(x, w), leaves(
        {k: v.reshape(-1) if v.shape[0] == 1 else v for k, v in weights.items()}))


# ---- mambapy -------------------------------------------------------------------------

def unbound_scan(self, x, delta, A, B, C, D, h=None):
    """MambaBlock.selective_scan_seq with its loop over unbound steps."""
    a = torch.exp(delta.unsqueeze(-1) * A)
    bx = delta.unsqueeze(-1) * B.unsqueeze(2) * x.unsqueeze(-1)
    h = torch.zeros(x.size(0), *A.shape) if h is None else h
    hs = []
    for at, bt in zip(a.unbind(1), bx.unbind(1)):
        h = at * h + bt
        hs.append(h)
    y = (torch.stack(hs, 1) @ C.unsqueeze(-1)).squeeze(3)
    self.last = h
    return y + D * x


def mamba_block(weights, pscan):
    from mambapy.mamba import MambaBlock, MambaConfig
    D, N = weights["in_proj.weight"].shape[1], weights["A_log"].shape[1]
    block = MambaBlock(MambaConfig(D, 1, d_state=N, pscan=pscan))
    if not pscan:
        block.selective_scan_seq = functools.partial(unbound_scan, block)
    return load(block, weights)


def mamba(weights, need):
    if need("mambapy"):
        for name, label, pscan in (("shipped", "mamba.py, pscan", True),
                                   ("package", "mamba.py, sequential", False)):
            block, own = mamba_block(weights, pscan)
            yield Variant(name, label, lambda x, w, block=block: block(x), own, True)
    yield Variant("best", "chunked scan, one function", lambda x, w: fn.mamba(x, w)[0],
                  leaves(weights))


# ---- the selective scan of Mamba alone -----------------------------------------------

def scans(need):
    """{name: (label, scan)}; a scan takes u, raw, A, b, c, D, z, sample first, and
    gives (h C + D u) silu(z) with step sizes softplus(raw)."""
    def gated(scan):
        return lambda u, raw, A, b, c, D, z: \
            scan(u, F.softplus(raw), A, b, c, D) * F.silu(z)

    def best(u, delta, A, b, c, D):
        turn = [x.transpose(0, 1) for x in (delta, u, b, c)]
        h0 = torch.zeros(u.shape[0], *A.shape)
        y, _ = fn.Scan.apply(*turn[:2], A, *turn[2:], h0)
        return torch.addcmul(y.transpose(0, 1), u, D)
    out = {}
    if need("mambapy"):
        from mambapy.mamba import MambaBlock

        class Self:                          # what MambaBlock's functions ask of it
            selective_scan = MambaBlock.selective_scan
            unbound = unbound_scan
        out["shipped"] = "mamba.py, pscan", gated(Self().selective_scan)
        out["package"] = "mamba.py, sequential", gated(Self().unbound)
    out["best"] = "chunked, one function", gated(best)
    return out


class ScanInputs:
    """What the block makes of its input before the scan, and what follows it."""

    def __init__(self, w):
        self.w = w

    def before(self, x):
        w = self.w
        E, N = w["A_log"].shape
        u, z = F.linear(x, w["in_proj.weight"]).split([E, E], 2)
        taps = w["conv1d.weight"].reshape(E, 1, -1)
        u = F.conv1d(u.transpose(1, 2), taps, w["conv1d.bias"],
                     padding=taps.shape[2] - 1, groups=E)
        u = F.silu(u[:, :, :x.shape[1]].transpose(1, 2))
        r, b, c = F.linear(u, w["x_proj.weight"]).split(
            [w["dt_proj.weight"].shape[1], N, N], 2)
        return (u, F.linear(r, w["dt_proj.weight"], w["dt_proj.bias"]),
                -torch.exp(w["A_log"]), b, c, w["D"], z)

    def after(self, y):
        return F.linear(y, self.w["out_proj.weight"])


def scan(weights, need):
    """In a check the whole block; what is timed begins and ends with the scan."""
    for name, (label, run) in scans(need).items():
        own = leaves(weights)
        inputs = ScanInputs(own)
        v = Variant(name, label, lambda x, w, run=run, i=inputs:
                    i.after(run(*i.before(x))), own, True)
        v.alone = run, inputs
        yield v


# ---- PyTorch -------------------------------------------------------------------------

def attention(weights, need):
    D, H = weights["out_proj.weight"].shape[0], 8
    net = nn.MultiheadAttention(D, H, batch_first=True)
    module, own = load(net, {k.replace("in_proj.", "in_proj_"): v
                             for k, v in weights.items()})
    own = {k.replace("in_proj_", "in_proj."): v for k, v in own.items()}

    def package(x, w):
        mask = torch.triu(torch.full((x.shape[1], x.shape[1]), float("-inf")), 1)
        return net(x, x, x, attn_mask=mask, need_weights=False)[0]

    def best(x, w):
        qkv = F.linear(x, w["in_proj.weight"], w["in_proj.bias"].reshape(-1))
        qkv = qkv.chunk(3, 2)
        y = fn.heads_back(fn.causal(*(fn.heads_of(y, H) for y in qkv)))
        return F.linear(y, w["out_proj.weight"], w["out_proj.bias"].reshape(-1))
    yield Variant("package", "nn.MultiheadAttention", package, own, True)
    yield Variant("best", "scaled_dot_product_attention" if fn.FUSED else
                  "blocks of queries", best, leaves(weights))


ROWS = {"scan": scan, "lif": lif, "cfc": cfc, "ltc": ltc, "mamba": mamba,
        "attention": attention}
