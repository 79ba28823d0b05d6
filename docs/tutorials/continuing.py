# %% [markdown]
# # Reading and continuing a study
