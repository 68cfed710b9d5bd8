"""What is compared: the component as mls spells it, its reference, and the size."""
import dataclasses
import typing

import references as r


@dataclasses.dataclass
class Case:
    name: str
    spec: str                        # for mls trace
    make: typing.Callable            # -> r.Reference, after seeding
    n: int                           # features
    B: int = 4
    T: int = 256
    dt: bool = False                 # irregular step lengths, of each sample its own
    mask: bool = False               # holes and ragged ends
    grad: bool = True
    small: bool = False              # goes to tests/golden with --fixtures
    scale: float = 1.0               # of the input
    needs: str = ""                  # a clone: references.clones
    seed: int = 1


def ncp():
    return r.wirings.NCP(inter_neurons=13, command_neurons=7, motor_neurons=5,
                         sensory_fanout=4, inter_fanout=3, recurrent_command_synapses=5,
                         motor_fanin=4)


NCP = ('wiring="ncp", outputs=5, inter=13, command=7, sensory_fanout=4, '
       'inter_fanout=3, recurrent_command=5, motor_fanin=4')

# name, mls's spelling, reference, features, whether it knows step lengths
COMPONENTS = [
    ("cfc", 'liquid.cfc{units=33, backbone_units=13, backbone_layers=2}',
     lambda: r.cfc(7, 33, 13, 2), 7, True),
    ("cfc-pure", 'liquid.cfc{units=33, backbone_units=13, mode="pure"}',
     lambda: r.cfc(7, 33, 13, 1, "pure"), 7, True),
    ("cfc-no-gate", 'liquid.cfc{units=33, backbone_layers=0, mode="no_gate"}',
     lambda: r.cfc(7, 33, 0, 0, "no_gate"), 7, True),
    ("cfc-mixed", 'liquid.cfc{units=13, backbone_units=33, activation="silu", '
     'mixed_memory=true}',
     lambda: r.cfc(7, 13, 33, 1, "default", True, "silu"), 7, True),
    ("wired-cfc", 'liquid.wired_cfc{units=33, outputs=7}',
     lambda: r.wired_cfc(13, r.wirings.AutoNCP(33, 7)), 13, True),
    ("wired-cfc-ncp", 'liquid.wired_cfc{%s, mode="pure"}' % NCP,
     lambda: r.wired_cfc(13, ncp(), "pure"), 13, True),
    ("ltc", 'liquid.ltc{units=13, outputs=7}',
     lambda: r.ltc(7, r.wirings.FullyConnected(13, 7), True), 7, True),
    ("ltc-clip", 'liquid.ltc{units=33, outputs=7, wiring="auto_ncp", '
     'positivity="clip"}',
     lambda: r.ltc(13, r.wirings.AutoNCP(33, 7), False), 13, True),
    ("ltc-ncp", 'liquid.ltc{%s}' % NCP, lambda: r.ltc(13, ncp(), True), 13, True),
    ("gru", 'liquid.gru{units=33}', lambda: r.gru(13, 33), 13, False),
    ("lstm", 'liquid.lstm{units=33}', lambda: r.lstm(13, 33), 13, False),
    ("mamba", 'mixer.mamba{state=7}', lambda: r.mamba(33, 7), 33, False),
    ("mamba-conv3", 'mixer.mamba{state=16, conv=3, expand=3}',
     lambda: r.mamba(13, 16, 3, 3), 13, False),
    ("mamba2", 'mixer.mamba2{state=13, head=11}',
     lambda: r.mamba2(33, 13, 11), 33, False),
    ("mamba2-groups", 'mixer.mamba2{state=7, head=5, groups=2}',
     lambda: r.mamba2(10, 7, 5, 2), 10, False),
    ("s4d", 'mixer.s4d{state=14}', lambda: r.s4d(13, 14), 13, False),
    ("linear-attention", 'mixer.linear_attention{heads=3}',
     lambda: r.linear_attention(33, 3), 33, False),
    ("retention", 'mixer.linear_attention{heads=3, decay="learned", normalise="rms", '
     'gate=true}',
     lambda: r.linear_attention(33, 3, True, True, True), 33, False),
    ("moe", 'mixer.moe{k=2, experts={mixer.mlp{}, liquid.gru{}, mixer.mlp{}}}',
     lambda: r.experts(13, 2, True), 13, False),
    ("moe-switch", 'mixer.moe{k=1, normalise=false, '
     'experts={mixer.mlp{}, liquid.gru{}, mixer.mlp{}}}',
     lambda: r.experts(13, 1, False), 13, False),
    ("bidirectional", 'mixer.bidirectional{part=liquid.gru{units=33}}',
     lambda: r.two_ways(13, 33), 13, False),
    ("lif", 'encoder.lif{units=33}',
     lambda: r.leaky(13, 33, "fast_sigmoid"), 13, False),
    ("lif-learnt", 'encoder.lif{units=33, surrogate="atan", reset="zero", '
     'learn_beta="unit", learn_threshold="scalar"}',
     lambda: r.leaky(13, 33, "atan", "zero", True), 13, False),
    ("synaptic", 'encoder.synaptic{units=33, alpha=0.5, beta=0.8, surrogate="atan"}',
     lambda: r.synaptic(13, 33, "atan"), 13, False),
    ("synaptic-zero", 'encoder.synaptic{units=33, alpha=0.5, beta=0.8, '
     'surrogate="sigmoid", reset="zero_full"}',
     lambda: r.synaptic(13, 33, "sigmoid", "zero"), 13, False),
    ("rlif", 'encoder.rlif{units=33, beta=0.8}',
     lambda: r.recurrent(13, 33, "fast_sigmoid", True), 13, False),
    ("rlif-own", 'encoder.rlif{units=33, beta=0.8, recurrent="one_to_one", '
     'surrogate="atan"}',
     lambda: r.recurrent(13, 33, "atan", False), 13, False),
    ("alif", 'encoder.alif{units=33, rho=0.96}',
     lambda: r.alif(13, 33, "fast_sigmoid"), 13, False),
    ("plif", 'encoder.plif{units=33, surrogate="atan"}',
     lambda: r.plif(13, 33, "atan", False), 13, False),
    ("plif-zero", 'encoder.plif{units=33, reset="zero"}',
     lambda: r.plif(13, 33, "fast_sigmoid", True), 13, False),
]

# A file of a clone is run, which cannot be installed here: its name is the last.
CLONED = [
    ("mamba2-ssd", 'mixer.mamba2{state=13, head=11}',
     lambda: r.mamba2_ssd(33, 13, 11), 33, "mamba"),
    ("mamba2-groups-ssd", 'mixer.mamba2{state=7, head=5, groups=2}',
     lambda: r.mamba2_ssd(10, 7, 5, 2), 10, "mamba"),
    ("s4d-whole", 'mixer.s4d{state=14}', lambda: r.s4d_whole(13, 14), 13, "s4"),
]

# The state of these is a window that ends with the sequence.
WINDOWED = [
    ("attention", 'mixer.attention{heads=3, positions="none"}',
     lambda T: r.attention(33, 3, T), 33),
    ("attention-window", 'mixer.attention{heads=3, window=13, positions="none"}',
     lambda T: r.attention(33, 3, 13), 33),
    ("attention-rotary", 'mixer.attention{heads=3, window=33}',
     lambda T: r.rotary(78, 3, 33), 78),
]

SMALL = [
    ("cfc", 'liquid.cfc{units=4, backbone_units=5, backbone_layers=2}',
     lambda: r.cfc(3, 4, 5, 2), 3, True),
    ("cfc-pure", 'liquid.cfc{units=4, backbone_units=5, mode="pure"}',
     lambda: r.cfc(3, 4, 5, 1, "pure"), 3, True),
    ("cfc-mixed", 'liquid.cfc{units=4, backbone_units=5, mixed_memory=true}',
     lambda: r.cfc(3, 4, 5, 1, "default", True), 3, True),
    ("wired-cfc", 'liquid.wired_cfc{units=9, outputs=2}',
     lambda: r.wired_cfc(3, r.wirings.AutoNCP(9, 2)), 3, True),
    ("ltc", 'liquid.ltc{units=4, outputs=2}',
     lambda: r.ltc(3, r.wirings.FullyConnected(4, 2), True), 3, True),
    ("gru", 'liquid.gru{units=5}', lambda: r.gru(3, 5), 3, False),
    ("lstm", 'liquid.lstm{units=5}', lambda: r.lstm(3, 5), 3, False),
    ("mamba", 'mixer.mamba{state=3}', lambda: r.mamba(4, 3), 4, False),
    ("moe", 'mixer.moe{experts={mixer.mlp{}, liquid.gru{}, mixer.mlp{}}}',
     lambda: r.experts(4, 2, True), 4, False),
    ("bidirectional", 'mixer.bidirectional{part=liquid.gru{units=3}}',
     lambda: r.two_ways(4, 3), 4, False),
    ("attention-window", 'mixer.attention{heads=2, window=3, positions="none"}',
     lambda: r.attention(6, 2, 3), 6, False),
    ("lif", 'encoder.lif{units=5, surrogate="atan", reset="zero", learn_beta="unit", '
     'learn_threshold="scalar"}',
     lambda: r.leaky(3, 5, "atan", "zero", True), 3, False),
    ("synaptic", 'encoder.synaptic{units=5, alpha=0.5, beta=0.8}',
     lambda: r.synaptic(3, 5, "fast_sigmoid"), 3, False),
    ("rlif", 'encoder.rlif{units=5, beta=0.8}',
     lambda: r.recurrent(3, 5, "fast_sigmoid", True), 3, False),
]


def large():
    """Every component three times: as it is, with a mask, and over 4,096 steps."""
    for name, spec, make, n, dt in COMPONENTS:
        yield Case(name, spec, make, n, dt=dt)
        yield Case(name, spec, make, n, dt=dt, mask=True, seed=2)
        yield Case(name, spec, make, n, B=1, T=4096, dt=dt, grad=False, seed=3)
    for name, spec, make, n, clone in CLONED:
        yield Case(name, spec, make, n, needs=clone)
        yield Case(name, spec, make, n, mask=True, seed=2, needs=clone)
        yield Case(name, spec, make, n, B=1, T=4096, grad=False, seed=3, needs=clone)
    for name, spec, make, n in WINDOWED:
        yield Case(name, spec, lambda make=make: make(256), n)
        yield Case(name, spec, lambda make=make: make(256), n, mask=True, seed=2)
    yield Case("mamba", 'mixer.mamba', lambda: r.mamba_whole(33, 16), 33)


def small():
    for name, spec, make, n, dt in SMALL:
        yield Case(name, spec, make, n, B=2, T=9, dt=dt, small=True)
