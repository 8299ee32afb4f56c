# The image of the gateway: built in one stage, run in another that holds nothing but Node.js, the compiled sources and the
# packages that they need. Runs as an unprivileged user and writes no files, so `--read-only` works.
FROM node:26-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:26-bookworm-slim
LABEL org.opencontainers.image.title="Gatewarden" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY config ./config
COPY package.json LICENSE ./
USER node
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "/app/dist/cli/main.js", "healthcheck", "-c", "/etc/gatewarden/gateway.yaml"]
ENTRYPOINT ["node", "/app/dist/cli/main.js"]
CMD ["start", "-c", "/etc/gatewarden/gateway.yaml"]
