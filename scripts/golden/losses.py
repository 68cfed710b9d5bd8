"""The losses of spiking heads as snnTorch has them: the rows of tests/net/label_loss-t.c.

    DIRECTORY/bin/python scripts/golden/losses.py

DIRECTORY is what setup.sh made.  A row is the loss and the sum over i of d loss / d x[i] *
cos(i), for leaky neurons whose currents are x[i] = 0.5 + 1.2 noise(i),
[9 steps][3 samples][classes * population].
"""
import math

import torch
import snntorch
import snntorch.functional as SF
from snntorch import surrogate

STEPS, SAMPLES, CLASSES = 9, 3, 3
LABELS = torch.tensor([2, 0, 1])
WORD = (1 << 64) - 1


def noise(i):
    """As in tests/plugins/small.h."""
    z = (i + 1) * 0x9E3779B97F4A7C15 & WORD
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & WORD
    return torch.tensor((z >> 11) / 4503599627370496.0 - 1.0, dtype=torch.float32)


def row(name, loss, population, membrane):
    units = CLASSES * population
    x = torch.stack([0.5 + 1.2 * noise(i) for i in range(STEPS * SAMPLES * units)])
    x = x.reshape(STEPS, SAMPLES, units).requires_grad_()
    neuron = snntorch.Leaky(beta=0.9, spike_grad=surrogate.fast_sigmoid(slope=25))
    state, spikes, membranes = torch.zeros(SAMPLES, units), [], []
    for t in range(STEPS):
        spike, state = neuron(x[t], state)
        spikes.append(spike)
        membranes.append(state)
    value = loss(torch.stack(membranes if membrane else spikes), LABELS).sum()
    value.backward()
    dot = sum(g * math.cos(i) for i, g in enumerate(x.grad.flatten().tolist()))
    print(f'    {{ "{name}", {population}, {value.item():.7g}, {dot:.7g} }},')


row("ce_rate", SF.ce_rate_loss(), 1, False)
row("ce_count", SF.ce_count_loss(), 1, False)
row("ce_count", SF.ce_count_loss(population_code=True, num_classes=CLASSES), 2, False)
row("ce_max_membrane", SF.ce_max_membrane_loss(), 1, True)
row("mse_count", SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2), 1, False)
row("mse_count", SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2, population_code=True,
                                   num_classes=CLASSES), 2, False)
row("mse_membrane", SF.mse_membrane_loss(on_target=0.8, off_target=0.2), 1, True)
