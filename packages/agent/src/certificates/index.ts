export { ensureCertificates } from './ensure.ts';
export type { CertificateName, CertificateRequest, Certificates, GivenCertificates } from './types.ts';
