# %% [markdown]
# # A first study in Python
