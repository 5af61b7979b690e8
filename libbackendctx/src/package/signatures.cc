#include "package/signatures.h"

#include <algorithm>

#include "base/bytes.h"
#include "crypto/dsse.h"
#include "fmt/format.h"
#include "manifest/envelope.h"

namespace backendctx::package {

Result<Trust> CheckSignatures(const container::Reader& reader, const std::string& manifest,
                              const std::vector<PublicKey>& trusted) {
  Trust trust;
  const auto& entries = reader.index().entries;
  if (entries.size() < 2 || entries[1].kind != container::Kind::kSignatures) {
    trust.reason = "the package is not signed";
    return trust;
  }
  BCTX_ASSIGN_OR_RETURN(const std::string bytes, reader.Read(entries[1]));
  BCTX_ASSIGN_OR_RETURN(const crypto::Envelope envelope,
                        manifest::ParseEnvelope(base::AsBytes(bytes)));
  BCTX_ASSIGN_OR_RETURN(const std::vector<crypto::JudgedSignature> judged,
                        crypto::Verify(envelope, manifest, trusted));
  for (size_t i = 0; i < judged.size(); ++i) {
    const bool known = judged[i].state == crypto::SignatureState::kTrusted;
    PublicKey key;
    const std::string& carried = envelope.signatures[i].public_key;  // 32 bytes: Verify has looked
    std::copy_n(carried.begin(), std::min(carried.size(), key.bytes.size()), key.bytes.begin());
    trust.signatures.push_back(
        {judged[i].key_id, known ? SignatureState::kTrusted : SignatureState::kUnknownKey, key});
    trust.trusted = trust.trusted || known;
  }
  if (!trust.trusted) {
    trust.reason =
        fmt::format("signed by key {}, which is not trusted", trust.signatures.front().key);
  }
  return trust;
}

}  // namespace backendctx::package
