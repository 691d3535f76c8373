import { expect, it } from 'vitest';
import { installerVariables } from './installer-variables.ts';

const needed = [
  ...['PIP_INDEX_URL', 'PIP_EXTRA_INDEX_URL', 'PIP_TRUSTED_HOST', 'PIP_CERT', 'PIP_CONFIG_FILE'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'],
  ...['SSL_CERT_FILE', 'SSL_CERT_DIR', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'],
];
const others = [
  ...['PATH', 'HOME', 'ONE_AUTH', 'AWS_SECRET_ACCESS_KEY', 'PYTHONPATH', 'LD_PRELOAD', 'NODE_OPTIONS'],
  ...['PIP', 'XPIP_INDEX_URL', 'MY_HTTP_PROXY', 'HTTP_PROXY_PASSWORD', 'SSL_CERT_FILES', 'SSL_KEY_FILE'],
];

it('takes what packages are installed with, and nothing else', () => {
  const environment = Object.fromEntries([...needed, ...others].map(name => [name, `of ${name}`]));
  expect(Object.keys(installerVariables(environment))).toEqual(needed);
  expect(installerVariables({ PIP_INDEX_URL: 'https://mirror.example/simple', NO_PROXY: undefined })).toEqual({
    PIP_INDEX_URL: 'https://mirror.example/simple',
  });
});
