"""A decoder-only GPT whose families are configurations of the same parts, one part a module.

The letters in names and comments, here and in every module of this package:
B sequences, T tokens of this call, S tokens that attention sees (those in the cache included), C channels of the residual
stream, H query heads, K key and value heads, G = H / K, D channels of a head, R rotated channels of a head, M channels
inside the MLP, V tokens of the vocabulary, N = B x T. This file imports nothing, so that `count` stays free of torch.
"""
