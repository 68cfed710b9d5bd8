"""The language models of `mls bench`: 256 bytes, two blocks of a mode, as mls has them,
out of the packages' parts ("package") and out of functions.py ("best").

  x = embedding(token);  for each block and branch: x = x + branch(rms_norm(x));
  logits = head(rms_norm(x)).  Sequences are [time][sample][feature].

snnTorch, ncps and mamba.py give the neurons, the liquid cell and the mixer; what mls
has beside them (trace, gate, exchange) is the same few lines in both variants.
"""
import math
import time

import torch
import torch.nn.functional as F

import functions as fn
import layers

CHUNK, WINDOW, LAYERS = 32, 256, 2                 # of the bidirectional mode


def flat(w):
    return w.reshape(-1)


def rms_norm(x, gain):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * flat(gain)


def trace(s, tau=20.0):
    """a[t] = l a[t-1] + s[t], times 1 - l: 64 steps at a time as a product."""
    fade, (T, B, D), step = math.exp(-1.0 / tau), s.shape, 64
    i = torch.arange(step)
    ago = (i[:, None] - i[None, :]).float()
    powers = torch.where(ago >= 0, torch.tensor(fade) ** ago, torch.tensor(0.0))
    since, out, last = fade ** torch.arange(1, step + 1).float(), [], torch.zeros(B * D)
    for part in s.reshape(T, B * D).split(step):
        n = len(part)
        out.append(torch.addmm(torch.outer(since[:n], last), powers[:n, :n], part))
        last = out[-1][-1]
    return (1.0 - fade) * torch.cat(out).reshape(T, B, D)


# ---- parts ---------------------------------------------------------------------------

class Best:
    name, label = "best", "functions.py"

    def __init__(self, w, need):
        self.w = w

    def leaky(self, x, at):
        return fn.Leaky.apply(x, 0.9, 1.0, 25.0)

    def cfc(self, x, at, h=None, ts=None):
        return fn.cfc(x, self.w, h, ts, at + ".")

    def mamba(self, x, at, b=None, c=None, state=None):
        return fn.mamba(x, self.w, at + ".", b, c, state)

    def attention(self, q, k, v):
        return fn.causal(q, k, v)

    def banded(self, q, k, v):
        return fn.banded(q, k, v, WINDOW)


class Package:
    name, label = "package", "snnTorch, ncps, mamba.py"

    def __init__(self, w, need):
        self.w, self.module = w, {}
        if any(".mix." in k and k.endswith("A_log") for k in w):
            self.mambas(need)
        if any(".liq." in k for k in w):
            self.cells(need)

    def adopted(self, at, make, *size):
        """A module of the package that computes with the model's own leaves."""
        if at not in self.module:
            self.module[at] = module = make(*size)
            for name, p in list(module.named_parameters()):
                where, _, last = name.rpartition(".")
                owner = module.get_submodule(where)
                del owner._parameters[last]
                setattr(owner, last, self.w[at + "." + name])
        return self.module[at]

    def mambas(self, need):
        if not need("mambapy"):
            raise ImportError("mambapy")
        from mambapy.mamba import MambaBlock, MambaConfig
        self.make = lambda D, N: MambaBlock(MambaConfig(D, 1, d_state=N, pscan=False))

    def cells(self, need):
        if not (need("ncps") and need("snntorch")):
            raise ImportError("ncps or snntorch")
        import snntorch
        from ncps.torch.cfc_cell import CfCCell
        self.neuron = snntorch.Leaky(
            0.9, spike_grad=snntorch.surrogate.fast_sigmoid(25))
        self.make_cell = CfCCell

    def leaky(self, x, at):
        return layers.leaky_steps(self.neuron, x.unbind(0))

    def cfc(self, x, at, h=None, ts=None):
        n = self.w[at + ".ff1.weight"].shape[0]
        cell = self.adopted(at, self.make_cell, x.shape[2], n)
        h = torch.zeros(x.shape[1], n) if h is None else h
        return layers.cell_steps(cell, x, h, ts)

    def mamba(self, x, at, b=None, c=None, state=None):
        """MambaBlock.forward and .ssm, with a state and with B and C moved."""
        N = self.w[at + ".A_log"].shape[1]
        m = self.adopted(at, self.make, x.shape[2], N)
        if b is None and state is None:
            m.selective_scan_seq = lambda *a: layers.unbound_scan(m, *a)
            return m(x.transpose(0, 1)).transpose(0, 1), None
        past, h = state if state else (None, None)
        u, z = m.in_proj(x.transpose(0, 1)).chunk(2, dim=-1)
        u = u.transpose(1, 2)
        past = torch.zeros(*u.shape[:2], 3) if past is None else past
        whole = torch.cat([past, u], 2)
        u = F.silu(F.conv1d(whole, m.conv1d.weight, m.conv1d.bias,
                            groups=u.shape[1]).transpose(1, 2))
        r, B, C = m.x_proj(u).split([m.config.dt_rank, N, N], -1)
        delta = F.softplus(m.dt_proj(r))
        y = layers.unbound_scan(m, u, delta, -torch.exp(m.A_log), B + b.transpose(0, 1),
                                C + c.transpose(0, 1), m.D, h)
        return m.out_proj(y * F.silu(z)).transpose(0, 1), (whole[:, :, -3:], m.last)

    def attention(self, q, k, v):
        T = q.shape[2]
        return fn.soft(q, k, v, torch.full((T, T), float("-inf")).triu_(1))

    def banded(self, q, k, v):
        i = torch.arange(q.shape[2])
        ago = i[:, None] - i[None, :]
        mask = torch.zeros(ago.shape).masked_fill_((ago < 0) | (ago >= WINDOW),
                                                   float("-inf"))
        return fn.soft(q, k, v, mask)


# ---- wirings -------------------------------------------------------------------------

def encoder(p, x, at):
    w, b = p.w[at + ".enc.weight"], p.w[at + ".enc.bias"]
    return p.leaky(F.linear(x, w, flat(b)), at)


def adapter(p, s, at):
    return F.linear(trace(s), p.w[at + ".ad.weight"], flat(p.w[at + ".ad.bias"]))


def sequential(p, x, at):
    return p.mamba(p.cfc(encoder(p, x, at), at + ".liq"), at + ".mix")[0]


def gate(p, a, b, at):
    w, (T, B, D) = p.w[at + ".fuse.weight"], a.shape
    H = w.shape[0]
    z = F.linear(a, p.w[at + ".fuse.query"]) * F.linear(b, p.w[at + ".fuse.key"])
    s = (z.reshape(T, B, H, -1) * w).sum(3) + flat(p.w[at + ".fuse.bias"])
    g = torch.sigmoid(s / F.softplus(flat(p.w[at + ".fuse.temperature"])))
    a, b = a.reshape(T, B, H, -1), b.reshape(T, B, H, -1)
    return torch.lerp(b, a, g.unsqueeze(3)).reshape(T, B, D)


def parallel(p, x, at):
    s = encoder(p, x, at)
    a = p.cfc(s, at + ".liq")
    return gate(p, a, p.mamba(adapter(p, s, at), at + ".mix")[0], at)


def look_up(p, x, other, at, a, b):
    heads = 8
    k, v = F.linear(other, p.w[at + b + ".kv.weight"]).chunk(2, 2)
    q = F.linear(x, p.w[at + a + ".q.weight"])
    y = fn.heads_back(p.banded(*(fn.heads_of(z, heads) for z in (q, k, v))))
    return x + F.linear(y, p.w[at + a + ".out.weight"], flat(p.w[at + a + ".out.bias"]))


def bidirectional(p, x, at):
    """The halves run 32 steps at a time: the mixer's last piece sets the cell's time
    constants, the cell's piece moves the mixer's B and C."""
    s = encoder(p, x, at)
    c = adapter(p, s, at)
    h = state = None
    late, left, right = torch.zeros(CHUNK, *s.shape[1:]), [], []
    for st, ct in zip(s.split(CHUNK), c.split(CHUNK)):
        n = len(st)
        tau = 0.5 + torch.sigmoid(F.linear(late[:n], p.w[at + ".liq.mod_tau.weight"]))
        l = p.cfc(st, at + ".liq", h, 1.0 / tau)
        m, state = p.mamba(ct, at + ".mix", F.linear(l, p.w[at + ".mix.mod_b.weight"]),
                           F.linear(l, p.w[at + ".mix.mod_c.weight"]), state)
        h, late = l[-1], m
        left.append(l)
        right.append(m)
    a, b = torch.cat(left), torch.cat(right)
    return 0.5 * (look_up(p, a, b, at + ".fuse", ".a", ".b") +
                  look_up(p, b, a, at + ".fuse", ".b", ".a"))


def mamba(p, x, at):
    return p.mamba(x, at + ".mix")[0]


def attend(p, x, at):
    w = p.w
    qkv = F.linear(x, w[at + ".att.in_proj.weight"], flat(w[at + ".att.in_proj.bias"]))
    y = fn.heads_back(p.attention(*(fn.heads_of(z, 4) for z in qkv.chunk(3, 2))))
    return F.linear(y, w[at + ".att.out_proj.weight"],
                    flat(w[at + ".att.out_proj.bias"]))


def feed_forward(p, x, at):
    w = p.w
    y = F.gelu(F.linear(x, w[at + ".ffn.up.weight"], flat(w[at + ".ffn.up.bias"])))
    return F.linear(y, w[at + ".ffn.down.weight"], flat(w[at + ".ffn.down.bias"]))


ROWS = {"lm-sequential": [sequential], "lm-parallel": [parallel],
        "lm-bidirectional": [bidirectional], "lm-mamba": [mamba],
        "lm-attention": [attend, feed_forward]}


# ---- a training step -----------------------------------------------------------------

class Model:
    def __init__(self, row, tensors, need):
        weights = {k[7:]: t for k, t in tensors.items() if k.startswith("weight/")}
        self.row, self.tensors = row, tensors
        self.token, self.label = (tensors[k].t().long().contiguous()
                                  for k in ("token", "label"))
        self.variants = {}
        for kind in (Package, Best):
            try:
                p = kind(layers.leaves(weights), need)
            except ImportError:
                continue
            p.optimiser = torch.optim.AdamW(p.w.values(), lr=1e-3, weight_decay=0.01)
            self.variants[p.name] = p

    def loss(self, p):
        x = F.embedding(self.token, p.w["embedding.weight"])
        branches = ROWS[self.row]
        for layer in range(LAYERS):
            at = "layer%d" % layer
            for i, branch in enumerate(branches):
                x = x + branch(p, rms_norm(x, p.w["%s.norm%d.weight" % (at, i)]), at)
        y = F.linear(rms_norm(x, p.w["norm.weight"]), p.w["head.weight"],
                     flat(p.w["head.bias"]))
        return F.cross_entropy(y.flatten(0, 1), self.label.flatten())

    def forget(self):
        for p in self.variants.values():
            p.loss = None

    def once(self, p, step=True):
        now = lambda: (time.perf_counter(), time.process_time())
        begin = now()
        p.optimiser.zero_grad(set_to_none=True)
        p.loss = self.loss(p)
        middle = now()
        p.loss.backward()
        if step:
            p.optimiser.step()
        return begin, middle, now()

    def check(self, p, saving):
        with saving(p.w) as saved:
            self.once(p, step=False)
        pairs = {"loss": (self.tensors["loss"], p.loss.detach().reshape(1))}
        for name, w in p.w.items():
            pairs["grad/" + name] = self.tensors["grad/weight/" + name], w.grad
        return pairs, saved.bytes()
