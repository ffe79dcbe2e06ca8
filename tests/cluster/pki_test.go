package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"
)

func parseCertificate(t *testing.T, pair keyPair) *x509.Certificate {
	t.Helper()
	if _, err := tls.X509KeyPair(pair.cert, pair.key); err != nil {
		t.Fatalf("certificate and key do not belong together: %v", err)
	}
	block, _ := pem.Decode(pair.cert)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestClientCertificate(t *testing.T) {
	dir := t.TempDir()
	made, err := newAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	if err := made.save(dir, "ca"); err != nil {
		t.Fatal(err)
	}
	loaded, err := loadAuthority(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := loaded.client("alice", "dev", "ops")
	if err != nil {
		t.Fatal(err)
	}
	cert := parseCertificate(t, pair)
	if cert.Subject.CommonName != "alice" {
		t.Errorf("user is %q", cert.Subject.CommonName)
	}
	slices.Sort(cert.Subject.Organization) // a set, in DER
	if !slices.Equal(cert.Subject.Organization, []string{"dev", "ops"}) {
		t.Errorf("groups are %q", cert.Subject.Organization)
	}

	roots := x509.NewCertPool()
	roots.AddCert(made.cert)
	options := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := cert.Verify(options); err != nil {
		t.Errorf("not valid for a client: %v", err)
	}
	options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if _, err := cert.Verify(options); err == nil {
		t.Error("a client's certificate is valid for a server")
	}

	other, err := newAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	options.Roots = x509.NewCertPool()
	options.Roots.AddCert(other.cert)
	options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := cert.Verify(options); err == nil {
		t.Error("valid for another authority of the same name")
	}
}

func TestServerCertificate(t *testing.T) {
	ca, err := newAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.server("kube-apiserver", "10.213.7.2", "127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	cert := parseCertificate(t, pair)
	for _, host := range []string{"10.213.7.2", "127.0.0.1", "localhost"} {
		if err := cert.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if err := cert.VerifyHostname("10.213.7.1"); err == nil {
		t.Error("valid for an address that was not asked for")
	}
}

func TestLoadAuthorityRefusesGarbage(t *testing.T) {
	dir := t.TempDir()
	if err := (keyPair{[]byte("no"), []byte("pem")}).save(dir, "ca"); err != nil {
		t.Fatal(err)
	}
	if _, err := loadAuthority(dir, "ca"); err == nil {
		t.Error("no error")
	}
}
