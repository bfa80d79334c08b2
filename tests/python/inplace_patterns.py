"""`forward` functions of networks that change values in place.

Each is a function of the network (for its layers), the input, and the functions that differ between
libraries: `F`, `cat`.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

PATTERNS = {}


def pattern(function):
    PATTERNS[function.__name__] = function
    return function


@pattern
def activation_at_the_head_of_a_block(net, x, lib):
    x = net.conv(x)
    return net.conv(net.relu(x)) + x


@pattern
def activation_that_is_not_in_place(net, x, lib):
    x = net.conv(x)
    return net.conv(net.copying(x)) + x


@pattern
def result_dropped(net, x, lib):
    x = net.conv(x)
    net.relu(x)
    return net.conv(x)


@pattern
def sum_while_another_name_holds_it(net, x, lib):
    x = net.conv(x)
    identity = x
    x += net.conv(x)
    return x + identity


@pattern
def difference_product_and_quotient(net, x, lib):
    a = net.conv(x)
    b = a
    a -= x
    a *= 1.5
    a /= 0.5
    a *= x
    return b, net.conv(b)


@pattern
def features_in_a_list(net, x, lib):
    features = [net.conv(x)]
    features.append(net.conv(lib.F.relu(features[0], inplace=True)))
    features.append(net.conv(net.relu(lib.cat(features, 1)[:, :3])))
    return lib.cat(features, 1)


@pattern
def features_in_a_dict(net, x, lib):
    features = {"a": net.conv(x)}
    features["b"] = net.relu6(features["a"])
    features["b"] += 1
    return features


@pattern
def values_in_an_object(net, x, lib):
    state = SimpleNamespace(x=net.conv(x))
    kept = state.x
    state.x += 2
    return kept, state.x


@pattern
def residual_block(net, x, lib):
    identity = x
    out = net.relu(net.conv(x))
    out = net.conv(out)
    out += identity
    return net.relu(out)


@pattern
def shortcut_from_an_input_in_place(net, x, lib):
    out = net.head(x)
    out += x
    return out


@pattern
def input_kept_by_the_caller_of_a_sequential(net, x, lib):
    x = net.conv(x)
    y = net.head(x)
    return y + x


@pattern
def input_symbol_changed(net, x, lib):
    y = x
    x *= 2
    x.relu_()
    return y, net.conv(y)


@pattern
def returned_and_changed_later(net, x, lib):
    x = net.conv(x)
    results = [x, net.conv(x)]
    x.relu_()
    return results


@pattern
def same_value_twice(net, x, lib):
    x = net.conv(x)
    y = net.relu(x)
    return x, y, x


@pattern
def sum_with_itself(net, x, lib):
    x = net.conv(x)
    y = x
    x += x
    x *= x
    return y


@pattern
def with_a_parameter(net, x, lib):
    x = net.conv(x)
    y = x
    x *= net.scale
    x += net.scale
    return y


@pattern
def with_scalars(net, x, lib):
    x = net.conv(x)
    y = x
    x += 1
    x -= np.float32(0.5)
    x *= 2
    x /= 4
    return x, y


@pattern
def methods(net, x, lib):
    x = net.conv(x)
    y = x.add_(1).mul_(x).sub_(0.5).div_(2.0).add_(x, alpha=0.5).sub_(1, alpha=2)
    z = net.conv(x)
    return y, z, z.sigmoid_().tanh_().clamp_(0.1, 0.6), x.clamp_(min=-0.2)


@pattern
def functions(net, x, lib):
    values = [net.conv(x) for _ in range(6)]
    kept = list(values)
    lib.F.relu(values[0], True)
    lib.F.relu6(values[1], inplace=True)
    lib.F.leaky_relu(values[2], 0.2, True)
    lib.F.hardtanh(values[3], -0.3, 0.3, True)
    lib.F.hardswish(values[4], inplace=True)
    lib.F.silu(values[5], inplace=True)
    return kept


@pattern
def layers(net, x, lib):
    values = [net.conv(x) for _ in range(6)]
    names = ("relu", "relu6", "silu", "hardswish", "leaky", "hardtanh")
    for name, value in zip(names, values, strict=True):
        getattr(net, name)(value)
    return values


@pattern
def identity_and_dropout_are_their_input(net, x, lib):
    x = net.conv(x)
    y = net.identity(net.dropout(lib.F.dropout(x, 0.5, False)))
    y += 1
    x *= 2
    return x, y


@pattern
def detach_and_float_are_their_input(net, x, lib):
    x = net.conv(x)
    x.detach().relu_()
    x.float().add_(1)
    return x


@pattern
def clone_is_a_copy(net, x, lib):
    x = net.conv(x)
    y = x.clone()
    x.relu_()
    z = y.clone()
    y -= 1
    return x, y, z


@pattern
def slice_then_the_whole(net, x, lib):
    x = net.conv(x)
    part = x[:, :2]
    x.relu_()
    return part, part + x[:, 1:]


@pattern
def part_then_the_whole(net, x, lib):
    x = net.conv(x)
    part = x[:, 1:2]
    part *= 3
    return net.conv(x)


@pattern
def part_read_before_and_after(net, x, lib):
    x = net.conv(x)
    part = x[:, 1]
    before = part * 1
    net.relu(x)
    after = part * 1
    part += 5
    return before, after, x


@pattern
def one_of_the_chunks(net, x, lib):
    x = net.conv(x)
    a, b = x.chunk(2, 1)
    a.relu_()
    return lib.cat([b, a], 1), x


@pattern
def all_parts_of_a_split(net, x, lib):
    x = net.conv(x)
    for number, part in enumerate(x.split(1, 1)):
        part += number
        net.relu(part)
    return x


@pattern
def unbound_parts(net, x, lib):
    x = net.conv(x)
    parts = x.unbind(1)
    parts[0].add_(parts[1])
    parts[2].mul_(parts[0])
    return x, parts[1], parts[2]


@pattern
def flattened_then_activated(net, x, lib):
    x = net.conv(x)
    flat = x.flatten(1)
    net.relu(flat)
    return x, flat


@pattern
def whole_after_flatten(net, x, lib):
    x = net.conv(x)
    flat = x.flatten(2)
    x += 1
    return flat, x.flatten(1)


@pattern
def reshaped_and_viewed(net, x, lib):
    x = net.conv(x)
    a = x.reshape(x.shape[0], -1)
    b = a.view(a.shape[0], 3, -1)
    b.relu_()
    a -= 1
    return x, a, b


@pattern
def permuted(net, x, lib):
    x = net.conv(x)
    last = x.permute(0, 2, 3, 1)
    last.relu_()
    x += 1
    return x, last


@pattern
def transposed(net, x, lib):
    x = net.conv(x).flatten(2)
    rows = x.transpose(1, 2)
    rows[:, :, 0] += 1
    rows[:, 1] *= 2
    return x, rows


@pattern
def copy_of_a_permuted(net, x, lib):
    x = net.conv(x)
    rows = x.flatten(2).transpose(1, 2).contiguous()
    rows.relu_()
    x -= 1
    return x, rows


@pattern
def flattened_copy_of_a_permuted(net, x, lib):
    x = net.conv(x)
    flat = x.permute(0, 2, 3, 1).flatten(1)
    flat.relu_()
    x -= 1
    return x, flat


@pattern
def view_of_a_permuted_part(net, x, lib):
    x = net.conv(x)
    flat = x.permute(0, 2, 3, 1).flatten(1, 2)
    flat.relu_()
    x -= 1
    return x, flat


@pattern
def contiguous_is_its_input(net, x, lib):
    x = net.conv(x)
    x.contiguous().relu_()
    return x


@pattern
def squeezed_and_unsqueezed(net, x, lib):
    x = net.conv(x).mean((2, 3), True)
    x.squeeze(-1).squeeze(-1).relu_()
    x.unsqueeze(0).mul_(3)
    return x


@pattern
def unflattened(net, x, lib):
    x = net.conv(x)
    groups = x.unflatten(1, (3, 1))
    groups[:, 1] += 1
    groups.relu_()
    return x, groups


@pattern
def expanded_after_a_write(net, x, lib):
    x = net.conv(x)
    mean = x.mean((2, 3), True)
    wide = mean.expand_as(x)
    mean += 1
    return x + wide, mean.expand(-1, -1, 2, -1)


@pattern
def strided_slices(net, x, lib):
    x = net.conv(x)
    x[:, :, ::2] += 1
    x[:, ::2, 1:] *= 2
    return x


@pattern
def views_of_views(net, x, lib):
    x = net.conv(x)
    a = x[:, 1:]
    b = a[:, :, 1:]
    c = b.permute(0, 2, 3, 1)[:, :, 0]
    c += 1
    a.relu_()
    b -= 0.5
    return x, a, b, c


@pattern
def items_changed_where_they_are(net, x, lib):
    x = net.conv(x)
    y = x
    x[:, 0] += x[:, 1]
    x[..., -1] *= 2
    x[:, 1:, None] -= 1
    x[:] /= 2
    x[:, 2] = x[:, 2].relu_()
    return y


@pattern
def dense_block(net, x, lib):
    features = [net.conv(x)]
    for _ in range(3):
        joint = lib.cat(features, 1)
        net.relu(joint)
        features.append(net.conv(joint[:, -3:]))
    return lib.cat(features, 1)


@pattern
def dense_block_that_activates_its_features(net, x, lib):
    features = [net.conv(x)]
    for _ in range(3):
        features.append(net.conv(net.relu(features[-1])))
    return lib.cat(features, 1)


@pattern
def helpers_that_change_their_argument(net, x, lib):
    def normalise(value):
        value -= 0.25
        value *= 4

    x = net.conv(x)
    y = net.identity(x)
    normalise(y[:, :2])
    return x, y


@pattern
def loop_over_one_accumulator(net, x, lib):
    total = net.conv(x)
    kept = [total]
    for _ in range(3):
        total += net.conv(total)
        kept.append(total)
    return kept


@pattern
def accumulator_made_by_a_sum(net, x, lib):
    total = 0
    for _ in range(3):
        total += net.conv(x)
    return total


@pattern
def batch_in_front(net, x, lib):
    x = net.conv(x)
    first = x[:1]
    first += 1
    return x, first.flatten()


@pattern
def overwritten_before_it_is_read(net, x, lib):
    x = net.conv(x)
    part, flat = x[:, :1], x.flatten(1)
    part += 1
    flat.relu_()
    part *= 2
    return x, flat, part
