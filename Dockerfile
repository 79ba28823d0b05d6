# An image that runs fabricbo: on the CPU or, with --build-arg TORCH=cu128, on NVIDIA GPUs.
#   docker build -t fabricbo .
#   docker run --rm -v "$PWD/studies:/data/studies" fabricbo demo
#   docker run --rm --gpus all -v "$PWD:/data" fabricbo run cat.toml
ARG PYTHON=3.13

FROM python:${PYTHON}-slim-bookworm AS build
# cpu, cu126, cu128, ...: which of PyTorch's own indices torch and torchvision come from.
ARG TORCH=cpu
# Extras of the package, separated by commas; empty: none.
ARG EXTRAS=web,terminal
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
RUN python -m venv /venv
# Before the sources: a change of ours has nobody fetch torch again.
COPY constraints.txt ./
RUN /venv/bin/python -m pip install --index-url "https://download.pytorch.org/whl/${TORCH}" \
      "$(grep '^torch==' constraints.txt)" "$(grep '^torchvision==' constraints.txt)"
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY fabricbo fabricbo
COPY objectives objectives
RUN /venv/bin/python -m pip install --constraint constraints.txt ".${EXTRAS:+[${EXTRAS}]}"

FROM python:${PYTHON}-slim-bookworm
COPY --from=build /venv /venv
RUN useradd --create-home --uid 1000 artist \
    && mkdir -p /data /cache \
    && chown artist:artist /data /cache
ENV PATH=/venv/bin:$PATH \
    HF_HOME=/cache/huggingface \
    TORCH_HOME=/cache/torch \
    XDG_CACHE_HOME=/cache
USER 1000
WORKDIR /data
VOLUME ["/cache"]
# For `serve STUDY --host 0.0.0.0 --public http://localhost:8000`, published by -p 8000:8000.
EXPOSE 8000
# Ctrl-C and `docker stop` reach the command itself, which finishes the trial in flight.
STOPSIGNAL SIGTERM
ENTRYPOINT ["fabricbo"]
CMD ["--help"]
