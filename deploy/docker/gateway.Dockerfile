# The gateway with the web client in it: docker build -f deploy/docker/gateway.Dockerfile .
FROM node:24.14.0-slim AS web

WORKDIR /web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --ignore-scripts
COPY web ./
# The style sheet has the classes of catalog's pages.
COPY services/catalog/catalog/api/pages /services/catalog/catalog/api/pages
RUN npm run build

FROM nginx:1.28.0-alpine
COPY --from=web /web/dist /web
