# The server as an image: built from the lock file, only production dependencies, not root,
# works on a read-only root file system (data in the volume /app/data, nothing else is written).
FROM node:24.11.1-bookworm-slim AS build
WORKDIR /src
# better-sqlite3 compiles where no prebuilt binary can be fetched.
RUN apt-get update \
  && apt-get install -y --no-install-recommends python3 make g++ \
  && rm -rf /var/lib/apt/lists/*
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json ./
COPY config/bundle.mjs config/
COPY cmd cmd
COPY internal internal
RUN npm run build && npm prune --omit=dev

FROM node:24.11.1-bookworm-slim
ENV NODE_ENV=production \
    UV_THREADPOOL_SIZE=16 \
    MEMTRACE_SERVER_HOST=0.0.0.0 \
    MEMTRACE_STORAGE_DATA_DIR=/app/data
WORKDIR /app
COPY --from=build /src/node_modules node_modules
COPY --from=build /src/dist dist
COPY package.json LICENSE ./
RUN mkdir -p data config && chown node:node data
USER node
VOLUME /app/data
EXPOSE 9100
# /health answers while the process lives, also during a long replay; readiness is /ready.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:'+(process.env.MEMTRACE_SERVER_PORT||9100)+'/health').then(r=>process.exit(r.ok?0:1),()=>process.exit(1))"]
# node itself is process 1 and gets SIGTERM: no npm, no shell.
ENTRYPOINT ["node", "dist/cmd/memtrace/main.js"]
CMD ["serve"]
