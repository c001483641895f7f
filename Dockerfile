FROM python:3.12-slim AS build
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /opt/aurra && /opt/aurra/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE NOTICE CHANGELOG.md ./
COPY aurra aurra
COPY migrations migrations
RUN /opt/aurra/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 aurra && mkdir /data && chown aurra /data
COPY --from=build /opt/aurra /opt/aurra
ENV PATH=/opt/aurra/bin:$PATH AURRA_HOME=/data AURRA_HOST=0.0.0.0 PORT=8000
USER aurra
VOLUME /data
EXPOSE 8000
HEALTHCHECK CMD python -c "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health/ready')"
# With DATABASE_URL, run `aurra migrate` before the switch; `serve` applies what is pending as well.
CMD ["aurra", "serve"]
