#!/usr/bin/env python3
"""What PyTorch makes of every op of kernels/, in f64. SPDX-License-Identifier: LGPL-3.0-or-later

Writes ops.f64: little-endian f64 arrays one after another, in the order in which test-reference.c reads them: each op's inputs, then its
output; and behind all of these each op's inputs, a gradient of its output, and the gradients of its inputs. Pictures as NHWC. Both sides
sum in f64, so they differ by rounding alone: the test allows 1e-12 of the largest element. Made with torch 2.15.0, seed 7.
"""
import pathlib
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.manual_seed(7)
out = open(pathlib.Path(__file__).with_name("ops.f64"), "wb")


def new(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def put(*tensors, picture=False):
    for t in tensors:
        if picture and t.dim() == 4:
            t = t.permute(0, 2, 3, 1)
        out.write(t.contiguous().numpy().tobytes())


# activations: silu, gelu, quick gelu, relu, tanh
x = new(64) * 3
put(x, F.silu(x), F.gelu(x), x * torch.sigmoid(1.702 * x), F.relu(x), torch.tanh(x))

# geglu, as diffusers
x = new(2, 3, 10)
value, gate = x.chunk(2, dim=-1)
put(x, value * F.gelu(gate))

# conv2d: stride 2, padded at the bottom and right only
x, w, b = new(2, 3, 6, 5), new(4, 3, 3, 3), new(4)
put(x, picture=True)
put(w, b)
put(F.conv2d(F.pad(x, (0, 1, 0, 1)), w, b, stride=2), picture=True)

# conv2d after doubling the picture, with a bias per image and a residual
x, w, b, r = new(2, 3, 4, 3), new(5, 3, 3, 3), new(2, 5), new(2, 5, 8, 6)
y = F.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), w, padding=1) + b[:, :, None, None] + r
put(x, picture=True)
put(w, b)
put(r, F.silu(y), picture=True)

# linear with gelu and a residual behind it
x, w, b, r = new(2, 3, 7), new(5, 7), new(5), new(2, 3, 5)
put(x, w, b, r, F.gelu(F.linear(x, w, b)) + r)

# attention: 2 heads of 4, 5 queries and 6 keys; then causal with 5 of both
q, k, v = new(2, 5, 8), new(2, 6, 8), new(2, 6, 8)
heads = lambda t: t.unflatten(-1, (2, 4)).transpose(1, 2)
put(q, k, v)
put(F.scaled_dot_product_attention(heads(q), heads(k), heads(v)).transpose(1, 2).flatten(2))
k, v = k[:, :5], v[:, :5]
put(F.scaled_dot_product_attention(heads(q), heads(k), heads(v), is_causal=True).transpose(1, 2).flatten(2))

# group norm of 3 groups
x, w, b = new(2, 6, 4, 3) * 2 + 5, new(6), new(6)
put(x, picture=True)
put(w, b)
put(F.silu(F.group_norm(x, 3, w, b, 1e-5)), picture=True)

# layer norm
x, w, b = new(2, 3, 8) * 2 + 5, new(8), new(8)
put(x, w, b, F.layer_norm(x, (8,), w, b, 1e-5))


def put_gradients(y, *inputs):
    """A gradient for the output, then what autograd makes of it for each input"""
    dy = new(*y.shape)
    put(dy, *torch.autograd.grad(y, inputs, dy), picture=True)


def leaves(*tensors):
    return [t.requires_grad_() for t in tensors]


# gradients; each: inputs, gradient of the output, gradients of the inputs. Activations share one input
x, = leaves(new(64) * 3)
put(x.detach())
for act in F.silu, F.gelu, lambda x: x * torch.sigmoid(1.702 * x), F.relu, torch.tanh:
    put_gradients(act(x), x)

# geglu
x, = leaves(new(2, 3, 10))
value, gate = x.chunk(2, dim=-1)
put(x.detach())
put_gradients(value * F.gelu(gate), x)

# conv2d: stride 2, padded at the bottom and right only; gradients of kernel and bias are not pictures
x, w, b = leaves(new(2, 3, 6, 5), new(4, 3, 3, 3), new(4))
put(x.detach(), picture=True)
put(w.detach())
y = F.conv2d(F.pad(x, (0, 1, 0, 1)), w, b, stride=2)
dy = new(*y.shape)
dx, dw, db = torch.autograd.grad(y, (x, w, b), dy)
put(dy, dx, picture=True)
put(dw, db)

# conv2d after doubling the picture, with a bias per image
x, w, b = leaves(new(2, 3, 4, 3), new(5, 3, 3, 3), new(2, 5))
put(x.detach(), picture=True)
put(w.detach())
y = F.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), w, padding=1) + b[:, :, None, None]
dy = new(*y.shape)
dx, dw, db = torch.autograd.grad(y, (x, w, b), dy)
put(dy, dx, picture=True)
put(dw, db)

# linear
x, w, b = leaves(new(2, 3, 7), new(5, 7), new(5))
put(x.detach(), w.detach())
put_gradients(F.linear(x, w, b), x, w, b)

# attention, then causal
for S, causal in (6, False), (5, True):
    q, k, v = leaves(new(2, 5, 8), new(2, S, 8), new(2, S, 8))
    put(q.detach(), k.detach(), v.detach())
    put_gradients(F.scaled_dot_product_attention(heads(q), heads(k), heads(v), is_causal=causal).transpose(1, 2).flatten(2), q, k, v)

# group norm of 3 groups with silu, layer norm
x, w, b = leaves(new(2, 6, 4, 3) * 2 + 5, new(6), new(6))
put(x.detach(), picture=True)
put(w.detach(), b.detach())
put_gradients(F.silu(F.group_norm(x, 3, w, b, 1e-5)), x, w, b)
x, w, b = leaves(new(2, 3, 8) * 2 + 5, new(8), new(8))
put(x.detach(), w.detach(), b.detach())
put_gradients(F.layer_norm(x, (8,), w, b, 1e-5), x, w, b)

# what LPIPS is made of, each with its gradient: clamp, max pooling, the distance of features of length 1
x, = leaves(new(64) * 2)
put(x.detach(), x.detach().clamp(-1, 1))
put_gradients(x.clamp(-1, 1), x)

a, = leaves(F.relu(new(2, 3, 5, 7)))          # relu: equal values in a square
y = F.max_pool2d(a, 2)
put(a.detach(), y.detach(), picture=True)
put_gradients(y, a)

a, = leaves(new(2, 3, 5, 7))                  # no pixel is 0, where PyTorch's gradient is not a number
b, w = new(2, 3, 5, 7), new(3)
unit = lambda t: t / (t.square().sum(1, keepdim=True).sqrt() + 1e-10)
y = (w[:, None, None] * (unit(a) - unit(b)).square()).sum(1).mean((1, 2))
put(a.detach(), b, picture=True)
put(w, y.detach())
put_gradients(y, a)
