"""Operations that are linear in the tensors they take: what moves, copies, sums and averages entries."""

import math

from torchstone.smoothness.call import Call
from torchstone.smoothness.domain import Interval
from torchstone.smoothness.operators import schur_norm
from torchstone.smoothness.orders import Order
from torchstone.smoothness.rules.rule import Rule, Table, kept, rows, scaled, shape_of, slope


def averaging(call: Call) -> float:
    """Operations whose matrix has no negative entries: Schur's test."""
    x = call.x
    if not x.depends or x.value.lipschitz in (0, math.inf) or not x.data.is_floating_point():
        return call.spread(x)
    return scaled(schur(call), x.value.lipschitz)


def copied(call: Call) -> float:
    """Every entry comes as often as every other."""
    return call.spread(call.x)


def schur(call: Call) -> float:
    """Schur's test of the call as a function of its first operand."""
    return schur_norm(lambda data: call.again(call.x, data), call.x.data)


def side_by_side(call: Call) -> float:
    """cat, stack: distances add up by Pythagoras."""
    return math.hypot(*(operand.value.lipschitz for operand in call.dependent))


def sum_range(call: Call) -> Interval:
    """n entries of the operand add up."""
    low, high = call.x.range
    n = call.x.data.numel() / max(1, call.numel)
    return scaled(n, low), scaled(n, high)


def dropped(call: Call) -> float:
    """What is not dropped grows by 1/(1 - p)."""
    p, training = call.given(1, "p", 0.5), call.given(2, "training", True)
    return scaled(1 / (1 - p) if training and p < 1 else 1.0, call.x.value.lipschitz)


def dropped_range(call: Call) -> Interval:
    """Zeros come in, the rest grows."""
    p, training = call.given(1, "p", 0.5), call.given(2, "training", True)
    low, high = (scaled(1 / (1 - p) if training and p < 1 else 1.0, end) for end in call.x.range)
    return min(low, 0), max(high, 0)


def chosen_order(call: Call) -> Order:
    """A choice by the sources may jump; see ``smooth``."""
    return Order.DISCONTINUOUS if call.operand(0, "condition").depends else Order.ANALYTIC


def written(call: Call) -> float:
    """An entry is in the old tensor or in what was written into it."""
    added = call.name == "index_put" and call.given(3, "accumulate", False)
    return math.inf if added else math.hypot(*map(call.spread, call.dependent))


def with_zeros(call: Call) -> Interval:
    """The entries of the operand, and the fill value, which is zero unless given."""
    low, high = kept(call)
    value = call.given(3, "value") if call.name == "pad" else 0.0
    value = float(value) if isinstance(value, int | float) else 0.0
    return min(low, value), max(high, value)


def resampled(call: Call) -> float:
    """Bicubic weights can be negative."""
    return math.inf if call.given(3, "mode", "nearest") == "bicubic" else averaging(call)


MOVES = Rule(shape=shape_of, lipschitz=slope(1), range=kept)
COPIES = Rule(shape=shape_of, lipschitz=averaging, range=kept)
ZEROS = Rule(shape=shape_of, lipschitz=averaging, range=with_zeros)
SUMS = Rule(shape=shape_of, lipschitz=averaging)
ANY = Rule(shape=shape_of)

LINEAR: Table = {
    **rows("view view_as reshape reshape_as flatten unflatten ravel squeeze unsqueeze", MOVES),
    **rows("atleast_1d atleast_2d atleast_3d", MOVES),
    **rows("broadcast_tensors meshgrid", Rule(shape=shape_of, lipschitz=copied, range=kept)),
    **rows("transpose permute movedim moveaxis swapaxes swapdims t T mT H mH adjoint", MOVES),
    **rows("clone contiguous alias to float double half bfloat16 type type_as cpu cuda", MOVES),
    **rows(
        "tensor as_tensor asarray new_tensor",
        MOVES,
    ),
    **rows("detach data requires_grad real imag view_as_real view_as_complex conj resolve_conj resolve_neg", MOVES),
    **rows("split chunk unbind tensor_split hsplit vsplit dsplit split_with_sizes unsafe_chunk unsafe_split", MOVES),
    **rows("narrow select diagonal flip fliplr flipud roll rot90 pixel_shuffle pixel_unshuffle", MOVES),
    **rows("channel_shuffle native_channel_shuffle nan_to_num positive pin_memory", MOVES),
    **rows("broadcast_to expand expand_as repeat tile repeat_interleave", COPIES),
    **rows("getitem index_select gather take take_along_dim masked_select as_strided", COPIES),
    **rows("tril triu diag diag_embed", Rule(shape=shape_of, lipschitz=slope(1), range=with_zeros)),
    **rows("pad replication_pad reflection_pad unfold im2col", ZEROS),
    **rows("interpolate upsample", Rule(shape=shape_of, lipschitz=resampled)),
    **rows("pack_padded_sequence _pack_padded_sequence _pad_packed_sequence", MOVES),
    **rows("avg_pool1d avg_pool2d avg_pool3d", ZEROS),
    **rows("mean nanmean", COPIES),
    **rows("adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d", COPIES),
    **rows("sum nansum", Rule(shape=shape_of, lipschitz=averaging, range=sum_range)),
    **rows("cumsum trace fold col2im", SUMS),
    **rows(
        "cat concat concatenate stack hstack vstack dstack column_stack block_diag",
        Rule(shape=shape_of, lipschitz=side_by_side, range=kept),
    ),
    **rows(
        "dropout dropout1d dropout2d dropout3d feature_dropout",
        Rule(shape=shape_of, lipschitz=dropped, range=dropped_range),
    ),
    **rows("alpha_dropout feature_alpha_dropout native_dropout", ANY),
    **rows(
        "setitem index_put masked_scatter scatter index_copy index_fill masked_fill slice_scatter",
        Rule(shape=shape_of, lipschitz=written),
    ),
    **rows("where", Rule(chosen_order, shape_of, written)),
    **rows("select_scatter diagonal_scatter fill_diagonal", Rule(shape=shape_of, lipschitz=written)),
    **rows("scatter_add index_add put constant_pad_nd", ANY),
    **rows("copy fill", Rule(shape=shape_of, lipschitz=written)),
    **rows("diff complex nll_loss nll_loss2d", ANY),
    **rows("fft_fft fft_ifft fft_rfft fft_irfft fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2 fft_fftn fft_ifftn", ANY),
    **rows("fft_rfftn fft_irfftn fft_hfft fft_ihfft fft_fftshift fft_ifftshift stft istft", ANY),
}
