export { ensureCertificates } from './ensure.ts';
export type { CertificateName, Certificates } from './types.ts';
