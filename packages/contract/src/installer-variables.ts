/**
 * Variables by which a machine says how packages reach it: pip's own (`PIP_INDEX_URL` and the like), proxies as curl and
 * Python's requests read them, and CA files (OpenSSL's, requests', curl's).
 */
const names =
  /^(PIP_[A-Z0-9_]+|https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE)$/;

/** What an installer of packages needs of an environment, and nothing else of it. */
export function installerVariables(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && names.test(name)) found[name] = value;
  }
  return found;
}
