"""The same layers as well as plain PyTorch can do them: what does not depend on the
last step is done for all of them at once, what does runs on buffers made beforehand,
and the gradients are written by hand.  Sequences are [time][sample][feature].

Every function computes what the package's layer computes; peers.py compares.
"""
import torch
import torch.nn.functional as F
from torch.autograd import Function


# ---- leaky integrate-and-fire (snntorch.Leaky, fast_sigmoid, reset by subtraction) ---

class Leaky(Function):
    @staticmethod
    def forward(ctx, x, beta, threshold, slope):
        u, s = torch.empty_like(x), torch.empty_like(x)
        before = fired = torch.zeros_like(x[0])
        for xt, ut, st in zip(x.unbind(0), u.unbind(0), s.unbind(0)):
            torch.add(xt, before, alpha=beta, out=ut)
            ut.sub_(fired, alpha=threshold)
            torch.gt(ut, threshold, out=st)
            before, fired = ut, st
        ctx.save_for_backward(u)
        ctx.constants = beta, threshold, slope
        return s

    @staticmethod
    def backward(ctx, gs):
        """c[t] = g[t] p(u[t]) + beta c[t+1], 64 steps at a time as a product."""
        u, = ctx.saved_tensors
        beta, threshold, slope = ctx.constants
        g = (u - threshold).abs_().mul_(slope).add_(1.0).pow_(-2.0).mul_(gs)
        T = g.shape[0]
        g = g.reshape(T, -1)
        c, step = torch.empty_like(g), 64
        i = torch.arange(step)
        ago = (i[None, :] - i[:, None]).float()
        powers = torch.where(ago >= 0, torch.tensor(beta) ** ago, torch.tensor(0.0))
        after = torch.zeros_like(g[0])
        for end in range(T, 0, -step):
            begin = max(end - step, 0)
            n = end - begin
            fade = beta ** torch.arange(n, 0, -1).float()
            torch.addmm(torch.outer(fade, after), powers[:n, :n], g[begin:end],
                        out=c[begin:end])
            after = c[begin]
        return c.reshape(u.shape), None, None, None


# ---- closed-form cell (ncps CfC, mode default, one layer of backbone) ----------------

GAIN, SCALE = 1.7159, 0.666                        # of lecun_tanh


class CfC(Function):
    """first [T][B][U]: W_x x + b, scaled; wh [U][H] scaled; heads [3 H][U] with GAIN in
    them and their bias, or [4 H][U] with ts [T][B][H]."""

    @staticmethod
    def forward(ctx, first, wh, heads, bias, h0, ts):
        T, B, U = first.shape
        H, n = wh.shape[1], heads.shape[0] // wh.shape[1]
        z, y = torch.empty(T, B, U), torch.empty(T, B, H)
        p = torch.empty(T, B, n * H)
        gate = torch.empty(T, B, H) if ts is not None else p[:, :, 2 * H:]
        wht, headst, h = wh.t(), heads.t(), h0
        parts = zip(*(x.unbind(0) for x in (first, z, p, p[:, :, :2 * H], p[:, :, :H],
                                            p[:, :, H:2 * H], gate, y)))
        for t, (ft, zt, pt, ff, f1, f2, st, yt) in enumerate(parts):
            torch.addmm(ft, h, wht, out=zt).tanh_()
            torch.addmm(bias, zt, headst, out=pt)
            ff.tanh_()
            if ts is not None:
                torch.addcmul(pt[:, 3 * H:], pt[:, 2 * H:3 * H], ts[t], out=st)
            st.sigmoid_()
            torch.lerp(f1, f2, st, out=yt)
            h = yt
        ctx.save_for_backward(z, p, gate, y, h0, wh, heads,
                              ts if ts is not None else torch.empty(0))
        ctx.timed = ts is not None
        return y

    @staticmethod
    def backward(ctx, gy):
        z, p, s, y, h0, wh, heads, ts = ctx.saved_tensors
        T, B, U = z.shape
        H, n = wh.shape[1], heads.shape[0] // wh.shape[1]
        f1, f2 = p[:, :, :H], p[:, :, H:2 * H]
        slope = torch.empty(T, B, n, H)
        slope[:, :, 0] = (1 - s) * (1 - f1 * f1)
        slope[:, :, 1] = s * (1 - f2 * f2)
        slope[:, :, -1] = (f2 - f1) * s * (1 - s)
        if ctx.timed:
            torch.mul(slope[:, :, 3], ts, out=slope[:, :, 2])
        dz, dp, d = 1 - z * z, torch.empty(T, B, n, H), gy.clone()
        dh = torch.zeros(B, H)
        back = zip(*(reversed(x.unbind(0)) for x in
                     (d, d.unsqueeze(2), slope, dp, dp.reshape(T, B, n * H), dz)))
        mz = torch.empty(B, U)
        for dt, wide, kt, to, flat, dzt in back:
            dt.add_(dh)
            torch.mul(wide, kt, out=to)
            torch.mm(flat, heads, out=mz)
            dzt.mul_(mz)
            torch.mm(dzt, wh, out=dh)
        flat, dzf = dp.reshape(T * B, n * H), dz.reshape(T * B, U)
        before = torch.cat([h0[None], y[:-1]]).reshape(T * B, H)
        dts = None
        if ctx.timed:
            dts = d * slope[:, :, 3] * p[:, :, 2 * H:3 * H]
        return (dz, dzf.t() @ before, flat.t() @ z.reshape(T * B, U), flat.sum(0), dh,
                dts)


def cfc(x, w, h0=None, ts=None, name=""):
    """w: the state dict of ncps' CfCCell, with `name` in front."""
    S = x.shape[2]
    w0, b0 = w[name + "backbone.0.weight"] * SCALE, w[name + "backbone.0.bias"] * SCALE
    part = [(w[name + k + ".weight"], w[name + k + ".bias"])
            for k in ("ff1", "ff2", "time_a", "time_b")]
    if ts is None:                                 # at a step of 1 the gates are one
        part[2:] = [tuple(a + b for a, b in zip(*part[2:]))]
    heads = torch.cat([p[0] for p in part]) * GAIN
    bias = torch.cat([p[1] for p in part])
    if h0 is None:
        h0 = torch.zeros(x.shape[1], w[name + "ff1.weight"].shape[0])
    return CfC.apply(F.linear(x, w0[:, :S], b0), w0[:, S:], heads, bias, h0, ts)


# ---- liquid time-constant cell (ncps LTC, fully connected) ---------------------------

EPSILON = 1e-8


class LTC(Function):
    """top, below [T][B][U]: what inputs add to numerator and denominator; mu, sigma,
    we = w erev, w [i][j]; leak = gleak vleak, rest = cm + gleak, cm over a substep.
    Every sigmoid is kept, as the package's graph keeps it."""

    @staticmethod
    def forward(ctx, top, below, mu, sigma, we, w, cm, leak, rest, unfolds):
        T, B, U = top.shape
        v, den = torch.empty(T * unfolds + 1, B, U), torch.empty(T * unfolds, B, U)
        s = torch.empty(T * unfolds, B, U, U)
        shift, num, part = mu * sigma, torch.empty(B, U), torch.empty(B, U, U)
        v[0] = 0.0
        vs, ds, ss = v.unbind(0), den.unbind(0), s.unbind(0)
        for t in range(T):
            a, b = top[t] + leak, below[t] + (rest + EPSILON)
            for k in range(t * unfolds, (t + 1) * unfolds):
                torch.addcmul(-shift, vs[k].unsqueeze(2), sigma, out=ss[k]).sigmoid_()
                torch.sum(torch.mul(ss[k], w, out=part), 1, out=ds[k]).add_(b)
                torch.sum(torch.mul(ss[k], we, out=part), 1, out=num).add_(a)
                torch.div(num.addcmul_(cm, vs[k]), ds[k], out=vs[k + 1])
        ctx.save_for_backward(v, den, s, mu, sigma, we, w, cm)
        ctx.unfolds = unfolds
        return v[unfolds::unfolds]

    @staticmethod
    def backward(ctx, gy):
        v, den, s, mu, sigma, we, w, cm = ctx.saved_tensors
        K, (T, B, U) = ctx.unfolds, gy.shape
        vs, ds, ss = v.unbind(0), den.unbind(0), s.unbind(0)
        gtop, gbelow = torch.zeros(T, B, U), torch.zeros(T, B, U)
        a, da = torch.empty(B, U, U), torch.empty(B, U, U)
        sums = torch.zeros(4, B, U, U)                  # of w erev, w, sigma, sigma mu
        swe, sw, ssigma, smu = sums.unbind(0)
        dv, dcm = torch.zeros(B, U), torch.zeros(B, U)
        num, den = torch.empty(B, U), torch.empty(B, U)
        for t in reversed(range(T)):
            dv = dv + gy[t]
            for k in reversed(range(t * K, (t + 1) * K)):
                torch.div(dv, ds[k], out=num)
                torch.mul(num, vs[k + 1], out=den).neg_()
                gtop[t].add_(num)
                gbelow[t].add_(den)
                n, d = num.unsqueeze(1), den.unsqueeze(1)
                swe.addcmul_(ss[k], n)
                sw.addcmul_(ss[k], d)
                torch.addcmul(torch.mul(we, n, out=da), w, d, out=da)
                torch.addcmul(ss[k], ss[k], ss[k], value=-1, out=a)
                da.mul_(a)
                ssigma.addcmul_(da, vs[k].unsqueeze(2))
                smu.add_(da)
                dcm.addcmul_(num, vs[k])
                dv = torch.addcmul(torch.mul(da, sigma, out=a).sum(2), num, cm)
        swe, sw, ssigma, smu = sums.sum(1).unbind(0)
        return (gtop, gbelow, -smu * sigma, ssigma - smu * mu, swe, sw, dcm.sum(0),
                gtop.sum((0, 1)), gbelow.sum((0, 1)), None)


def ltc(x, w, unfolds=6):
    """w: the state dict of ncps' LTCCell, fully connected, implicit constraints."""
    positive = {k: F.softplus(w[k]) for k in ("gleak", "cm", "w", "sensory_w")}
    u = (x * w["input_w"] + w["input_b"]).unsqueeze(3)
    s = torch.sigmoid((u - w["sensory_mu"]) * w["sensory_sigma"])
    cm = positive["cm"] * unfolds
    y = LTC.apply((s * (positive["sensory_w"] * w["sensory_erev"])).sum(2),
                  (s * positive["sensory_w"]).sum(2), w["mu"], w["sigma"],
                  positive["w"] * w["erev"], positive["w"], cm,
                  positive["gleak"] * w["vleak"], cm + positive["gleak"], unfolds)
    return y * w["output_w"] + w["output_b"]


# ---- selective scan of Mamba ---------------------------------------------------------

CHUNK = 32


class Scan(Function):
    """h[t] = exp(dt A) h[t-1] + dt u B, y = h C; dt, u [T][B][E], A [E][N], b, c
    [T][B][N].  Keeps h where chunks begin, and finds the others again."""

    @staticmethod
    def states(dt, du, A, b, h):
        a = (dt.unsqueeze(3) * A).exp_()
        hs = du.unsqueeze(3) * b.unsqueeze(2)
        for at, ht in zip(a.unbind(0), hs.unbind(0)):
            h = torch.addcmul(ht, at, h, out=ht)
        return a, hs

    @staticmethod
    def forward(ctx, dt, u, A, b, c, h0):
        T, B, E = u.shape
        du, y, first = dt * u, torch.empty_like(u), [h0]
        for i in range(0, T, CHUNK):
            part = slice(i, i + CHUNK)
            _, hs = Scan.states(dt[part], du[part], A, b[part], first[-1])
            torch.matmul(hs, c[part].unsqueeze(3), out=y[part].unsqueeze(3))
            first.append(hs[-1].clone())
        ctx.save_for_backward(dt, u, A, b, c, *first)
        return y, first[-1].clone()

    @staticmethod
    def backward(ctx, gy, gh):
        dt, u, A, b, c, *first = ctx.saved_tensors
        T = u.shape[0]
        du, ddt, ddu = dt * u, torch.empty_like(dt), torch.empty_like(u)
        dA, g = torch.zeros_like(A), gh
        db, dc = torch.empty_like(b), torch.empty_like(c)
        for n, i in reversed(list(enumerate(range(0, T, CHUNK)))):
            part = slice(i, i + CHUNK)
            a, hs = Scan.states(dt[part], du[part], A, b[part], first[n])
            gs = gy[part].unsqueeze(3) * c[part].unsqueeze(2)
            gts, ats = gs.unbind(0), a.unbind(0)
            gts[-1].add_(g)
            for t in range(len(gts) - 1, 0, -1):
                gts[t - 1].addcmul_(ats[t], gts[t])
            g = ats[0] * gts[0]
            dc[part] = torch.matmul(gy[part].unsqueeze(2), hs).squeeze(2)
            db[part] = torch.matmul(du[part].unsqueeze(2), gs).squeeze(2)
            ddu[part] = torch.matmul(gs, b[part].unsqueeze(3)).squeeze(3)
            a[0].mul_(first[n])
            a[1:].mul_(hs[:-1])
            a.mul_(gs)                                            # d / d (dt A)
            ddt[part] = (a * A).sum(3)
            dA += (a * dt[part].unsqueeze(3)).sum((0, 1))
        return ddt.addcmul_(ddu, u), ddu.mul_(dt), dA, db, dc, g


def causal_conv(x, w, bias, past=None):
    """x [T][B][E], w [E][1][K]: one multiply-add a tap.  past: the K - 1 before."""
    K, T = w.shape[2], x.shape[0]
    past = torch.zeros(K - 1, *x.shape[1:]) if past is None else past
    x = torch.cat([past, x])
    y = bias + x[:T] * w[:, 0, 0]
    for k in range(1, K):
        y = torch.addcmul(y, x[k:k + T], w[:, 0, k])
    return y, x[T:]


def mamba(x, w, name="", mod_b=None, mod_c=None, state=None):
    """w: the state dict of mamba.py's MambaBlock; state: past inputs and h."""
    past, h0 = state if state else (None, None)
    E, N = w[name + "A_log"].shape
    u, z = F.linear(x, w[name + "in_proj.weight"]).split([E, E], 2)
    u, past = causal_conv(u, w[name + "conv1d.weight"].reshape(E, 1, -1),
                          w[name + "conv1d.bias"].reshape(E), past)
    u = F.silu(u)
    r, b, c = F.linear(u, w[name + "x_proj.weight"]).split(
        [w[name + "dt_proj.weight"].shape[1], N, N], 2)
    if mod_b is not None:
        b, c = b + mod_b, c + mod_c
    dt = F.softplus(F.linear(r, w[name + "dt_proj.weight"],
                             w[name + "dt_proj.bias"].reshape(E)))
    h0 = torch.zeros(x.shape[1], E, N) if h0 is None else h0
    y, h = Scan.apply(dt, u, -torch.exp(w[name + "A_log"]), b, c, h0)
    y = torch.addcmul(y, u, w[name + "D"].reshape(E)) * F.silu(z)
    return F.linear(y, w[name + "out_proj.weight"]), (past, h)


# ---- attention -----------------------------------------------------------------------

FUSED = hasattr(F, "scaled_dot_product_attention")


def soft(q, k, v, mask):
    if FUSED:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    score = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return torch.softmax(score + mask, -1) @ v


def causal(q, k, v, block=128):
    """[B][H][T][d]; without a fused function by blocks of queries."""
    T = q.shape[2]
    if FUSED:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    out = []
    for i in range(0, T, block):
        end = min(i + block, T)
        mask = torch.full((end - i, end), float("-inf")).triu_(i + 1)
        out.append(soft(q[:, :, i:end], k[:, :, :end], v[:, :, :end], mask))
    return torch.cat(out, 2)


def banded(q, k, v, window):
    """The last `window` steps, itself included: blocks of `window` queries, each over
    its own and the block before."""
    B, H, T, d = q.shape
    if T <= window:
        return causal(q, k, v)
    pad = -T % window
    q, k, v = (F.pad(x, (0, 0, 0, pad)).reshape(B, H, -1, window, d) for x in (q, k, v))
    k, v = (torch.cat([F.pad(x[:, :, :-1], (0, 0, 0, 0, 1, 0)), x], 3) for x in (k, v))
    i, j = torch.arange(window)[:, None], torch.arange(2 * window)[None, :]
    seen = (j > i) & (j <= i + window)
    mask = torch.zeros(q.shape[2], window, 2 * window)
    mask.masked_fill_(~seen, float("-inf"))
    mask[0, :, :window] = float("-inf")
    y = soft(q, k, v, mask)
    return y.reshape(B, H, -1, d)[:, :, :T]


def heads_of(x, heads):
    """[T][B][D] -> [B][H][T][d]"""
    T, B, D = x.shape
    return x.reshape(T, B, heads, D // heads).permute(1, 2, 0, 3)


def heads_back(y):
    B, H, T, d = y.shape
    return y.permute(2, 0, 1, 3).reshape(T, B, H * d)
