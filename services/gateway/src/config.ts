import { commonKnobs, integer, readKnobs, text, type Env } from "@calibration/shared/config.ts";

export const knobs = {
  ...commonKnobs,
  host: text("HOST", "the address the API listens on", "127.0.0.1"),
  port: integer("PORT", "its port; 0: any free one", 8080, 0, 65_535),
  bootstrapTokens: text(
    "BOOTSTRAP_TOKENS",
    'tokens that exist from the start, as JSON by role: {"admin": "…", "operator": "…", "viewer": "…", "plant": "…"}',
    "",
  ),
  requestsPerMinute: integer(
    "REQUESTS_PER_MINUTE",
    "what one token may ask for in a minute, of each replica; beyond it: 429",
    3_000,
    1,
    10_000_000,
  ),
  tlsCertificate: text(
    "TLS_CERTIFICATE",
    "the API's certificate, a file in PEM; with it and its key it speaks HTTPS only",
    "",
  ),
  tlsKey: text("TLS_KEY", "the certificate's key, a file in PEM", ""),
  publicUrl: text("PUBLIC_URL", "the address browsers use, where it is not the Host they ask for", ""),
};

export const readConfig = (env: Env) => readKnobs(knobs, env);
