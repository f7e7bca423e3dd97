"""Words in, words out: an embedding, a recurrent network, a guess at each step."""

from jaxtyping import Float, Int64
from torch import Tensor, nn

from torchstone.nets.seeded import seeded
from torchstone.programs.memory.inputs import check_size
from torchstone.programs.memory.rnn import MemoryRNN


class Transducer(nn.Module):
    """Reads a sequence of words and gives, at each step, a logit for each word.

    Args:
        words: how many words there are.
        rnn: a :class:`MemoryRNN` or an ``nn.LSTM``, ``nn.GRU``, ``nn.RNN``, with ``batch_first=True``. Its
            ``input_size`` is the width of the embedding.
        seed: of the initial weights of embedding and output.

    >>> import torch
    >>> with seeded(0):
    ...     rnn = nn.LSTM(8, 16, batch_first=True)
    >>> Transducer(10, rnn)(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 10])
    """

    def __init__(self, words: int, rnn: MemoryRNN | nn.RNNBase, *, seed: int = 0) -> None:
        super().__init__()
        check_size("words", words)
        if not rnn.batch_first:
            raise ValueError("`rnn` must have batch_first=True, since words come as (b, t).")
        self.rnn = rnn
        with seeded(seed):
            self.embedding = nn.Embedding(words, rnn.input_size)
            self.head = nn.Linear(rnn.hidden_size, words)

    def forward(self, words: Int64[Tensor, "b t"]) -> Float[Tensor, "b t words"]:
        """Logits of all words at each step; padding at the end of a sequence has no bearing on the steps before it."""
        output, _ = self.rnn(self.embedding(words))
        logits: Tensor = self.head(output)
        return logits
