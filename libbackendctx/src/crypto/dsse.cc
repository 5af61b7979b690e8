#include "crypto/dsse.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/text.h"
#include "crypto/ed25519.h"

namespace backendctx::crypto {
namespace {

Status Bad(StatusCode code, std::string field, std::string found, std::string expected) {
  std::string message = fmt::format("{}: found {}, expected {}", field, found, expected);
  Detail detail;
  detail.field = std::move(field);
  detail.found = std::move(found);
  detail.expected = std::move(expected);
  return {code, std::move(message), std::move(detail)};
}

std::string Quoted(std::string_view text) { return "\"" + base::Printable(text, 80) + "\""; }

Result<PublicKey> CheckSignature(const EnvelopeSignature& signature, const std::string& field) {
  if (signature.algorithm != kAlgorithm) {
    return Bad(StatusCode::kUnsupportedVersion, field + ".algorithm", Quoted(signature.algorithm),
               Quoted(kAlgorithm));
  }
  PublicKey key;
  if (signature.public_key.size() != key.bytes.size()) {
    return Bad(StatusCode::kMalformed, field + ".public_key",
               fmt::format("{} bytes", signature.public_key.size()), "32");
  }
  std::copy(signature.public_key.begin(), signature.public_key.end(), key.bytes.begin());
  if (signature.key_id != key.Id()) {
    return Bad(StatusCode::kMalformed, field + ".key_id", Quoted(signature.key_id),
               Quoted(key.Id()));
  }
  if (signature.signature.size() != kSignatureSize) {
    return Bad(StatusCode::kMalformed, field + ".signature",
               fmt::format("{} bytes", signature.signature.size()), "64");
  }
  return key;
}

Status CheckEnvelope(const Envelope& envelope) {
  if (envelope.payload_type != kManifestPayloadType) {
    return Bad(StatusCode::kMalformed, "envelope.payload_type", Quoted(envelope.payload_type),
               Quoted(kManifestPayloadType));
  }
  if (envelope.signatures.empty()) {
    return Bad(StatusCode::kMalformed, "envelope.signatures", "none", "at least one");
  }
  if (envelope.signatures.size() > kMaxSignatures) {
    return Bad(StatusCode::kResourceExhausted, "envelope.signatures",
               fmt::format("{}", envelope.signatures.size()),
               fmt::format("at most {}", kMaxSignatures));
  }
  return OkStatus();
}

}  // namespace

std::string PreAuthEncoding(std::string_view payload_type, std::string_view payload) {
  std::string out =
      fmt::format("DSSEv1 {} {} {} ", payload_type.size(), payload_type, payload.size());
  out += payload;
  return out;
}

Status AddSignature(const SigningKey& key, std::string_view manifest, Envelope* envelope) {
  envelope->payload_type = kManifestPayloadType;
  const PublicKey public_key = key.Public();
  EnvelopeSignature added;
  added.key_id = public_key.Id();
  added.algorithm = kAlgorithm;
  added.public_key = base::AsText(public_key.bytes);
  BCTX_ASSIGN_OR_RETURN(added.signature, key.Sign(PreAuthEncoding(kManifestPayloadType, manifest)));
  std::erase_if(envelope->signatures,
                [&](const EnvelopeSignature& old) { return old.key_id == added.key_id; });
  const auto after =
      std::upper_bound(envelope->signatures.begin(), envelope->signatures.end(), added,
                       [](const auto& a, const auto& b) { return a.key_id < b.key_id; });
  envelope->signatures.insert(after, std::move(added));
  return OkStatus();
}

Result<std::vector<JudgedSignature>> Judge(const Envelope& envelope, std::string_view payload,
                                           std::span<const PublicKey> trusted) {
  BCTX_RETURN_IF_ERROR(CheckEnvelope(envelope));
  const std::string message = PreAuthEncoding(envelope.payload_type, payload);
  std::vector<JudgedSignature> judged;
  for (size_t i = 0; i < envelope.signatures.size(); ++i) {
    const EnvelopeSignature& signature = envelope.signatures[i];
    const std::string field = fmt::format("envelope.signatures[{}]", i);
    BCTX_ASSIGN_OR_RETURN(const PublicKey key, CheckSignature(signature, field));
    if (std::any_of(judged.begin(), judged.end(),
                    [&](const JudgedSignature& other) { return other.key_id == key.Id(); })) {
      return Bad(StatusCode::kMalformed, field + ".key_id", "a key that signs twice",
                 "one signature of each key");
    }
    JudgedSignature state{signature.key_id, SignatureState::kInvalid};
    if (VerifyEd25519(key.bytes, message, signature.signature)) {
      const bool known = std::any_of(trusted.begin(), trusted.end(), [&](const PublicKey& other) {
        return other.bytes == key.bytes;
      });
      state.state = known ? SignatureState::kTrusted : SignatureState::kUnknownKey;
    }
    judged.push_back(std::move(state));
  }
  return judged;
}

Result<std::vector<JudgedSignature>> Verify(const Envelope& envelope, std::string_view payload,
                                            std::span<const PublicKey> trusted) {
  BCTX_ASSIGN_OR_RETURN(std::vector<JudgedSignature> judged, Judge(envelope, payload, trusted));
  for (const JudgedSignature& signature : judged) {
    if (signature.state == SignatureState::kInvalid) {
      return Bad(StatusCode::kCorrupt, "signature of key " + signature.key_id,
                 "one that does not verify", "one over these manifest bytes");
    }
  }
  return judged;
}

}  // namespace backendctx::crypto
