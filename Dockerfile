# One image for all parts; the first argument names the part: docker run live-comments edge
#
# The images below are pinned by digest, each of all its platforms: docs/dependencies.md says how to change them.

FROM node:24.21.0-trixie@sha256:acd6b1bc507facfd69a145935a7409a8686d2faf57dfc3f242de642c8e0b2b07 AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund --loglevel=warn
COPY . .
RUN npm run -s build && rm -rf dist/test dist/bench dist/client dist/.tsbuildinfo && npm prune --omit=dev --no-audit --no-fund

FROM node:24.21.0-trixie-slim@sha256:8ec5d7557396cfe32d21c3f9c13072355ceab22b584578ca4bb28af31120cffe
WORKDIR /app
# What the parts have in common in a container. The addresses are the container's own: only what is published leaves it.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 INTERNAL_HOST=0.0.0.0 INTERNAL_PORT=9080
# A volume that is mounted here for the first time gets this folder's owner.
RUN mkdir /data && chown node:node /data
COPY package.json start.js LICENSE ./
COPY gateway/page gateway/page
COPY gateway/operators gateway/operators
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
USER node
EXPOSE 8080 9080
# Alive, not ready: whoever ends what is unhealthy must not end every part because ZooKeeper is away.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.INTERNAL_PORT}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# A small parent process ends its part when that answers no more, and itself with it; WATCHDOG_SECONDS=0: there is none.
ENTRYPOINT ["node", "/app/start.js", "watchdog"]
CMD ["--help"]
