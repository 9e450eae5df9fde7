import { defineConfig } from "vite";

export default defineConfig({
  build: { target: "es2022", modulePreload: { polyfill: false }, chunkSizeWarningLimit: 700 },
  // `vite` alone serves the sources to a browser and asks the platform of this checkout for everything else.
  server: { proxy: { "/api": process.env["GATEWAY_URL"] ?? "http://127.0.0.1:8080" } },
});
