# One image for every service: which one a container is, its command says.

# The manifests by themselves: as long as none of them changes, the dependencies come from the build's cache.
FROM node:26-slim AS manifests
WORKDIR /app
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY packages packages
COPY services services
COPY scripts scripts
COPY deploy deploy
RUN find packages services scripts deploy -type f ! -name package.json -delete

FROM node:26-slim AS build
WORKDIR /app
# pnpm's platform package is the program itself, without an install script. The version is that of scripts/bootstrap.mjs.
RUN npm install --prefix /opt/pnpm --no-audit --no-fund "@pnpm/exe.linux-$(node -p process.arch)@12.21.0" \
 && ln -s "$(find /opt/pnpm/node_modules/@pnpm -name pnpm -type f | head -1)" /usr/local/bin/pnpm
COPY --from=manifests /app ./

FROM build AS dashboard
RUN pnpm install --frozen-lockfile --store-dir=/opt/store --filter "@calibration/dashboard..."
COPY tsconfig.json ./
COPY packages packages
COPY services services
RUN node packages/dashboard/build.ts

FROM build AS services
# Without the tools of development and the binaries of the embedded PostgreSQL, which are optional packages of their own.
RUN pnpm install --frozen-lockfile --prod --no-optional --ignore-scripts --store-dir=/opt/store \
      --filter "./services/*" --filter ./packages/shared --filter ./packages/models --filter ./packages/servers \
      --filter ./scripts --filter ./deploy
# The workspace as it stands: under node_modules, where `pnpm deploy` puts it, Node refuses to strip types.
COPY packages packages
COPY services services
COPY scripts scripts
COPY deploy deploy

FROM node:26-slim
# The compiled modules are kept in memory: the file system is read-only.
ENV NODE_ENV=production NODE_COMPILE_CACHE=/tmp/compile-cache
WORKDIR /app
COPY --from=services /app /app
COPY --from=dashboard /app/packages/dashboard/dist /app/packages/dashboard/dist
RUN for command in sign-in healthy; do ln -s "/app/deploy/$command" /usr/local/bin/; done
USER node
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "/app/deploy/run.ts"]
