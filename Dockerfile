# One image for every service: which one a container is, its command says.
FROM node:26-slim AS build
WORKDIR /app
# pnpm's platform package is the program itself, without an install script.
RUN npm install --prefix /opt/pnpm --no-audit --no-fund "@pnpm/exe.linux-$(node -p process.arch)@12.21.0" \
 && ln -s "$(find /opt/pnpm/node_modules/@pnpm -name pnpm -type f | head -1)" /usr/local/bin/pnpm
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY packages packages
COPY services services
COPY scripts scripts
COPY deploy/package.json deploy/

FROM build AS dashboard
COPY tsconfig.json ./
RUN pnpm install --frozen-lockfile --store-dir=/opt/store --filter "./packages/dashboard..." && node packages/dashboard/build.ts

FROM build AS services
# Without the embedded servers and the tools of development: containers have their own.
RUN pnpm install --frozen-lockfile --prod --store-dir=/opt/store \
      --filter "./services/*" --filter ./packages/shared --filter ./packages/models --filter ./scripts --filter ./deploy
COPY deploy deploy

FROM node:26-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=services /app /app
COPY --from=dashboard /app/packages/dashboard/dist /app/packages/dashboard/dist
RUN printf '#!/bin/sh\nexec node --disable-warning=ExperimentalWarning /app/deploy/run.ts sign-in "$@"\n' > /usr/local/bin/sign-in \
 && chmod 755 /usr/local/bin/sign-in
USER node
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "/app/deploy/run.ts"]
