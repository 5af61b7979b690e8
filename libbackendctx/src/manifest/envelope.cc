#include "manifest/envelope.h"

#include "backendctx.pb.h"
#include "manifest/field.h"
#include "manifest/wire.h"

namespace backendctx::manifest {

std::string EncodeEnvelope(const crypto::Envelope& envelope) {
  v1::Envelope to;
  to.set_payload_type(envelope.payload_type);
  for (const crypto::EnvelopeSignature& from : envelope.signatures) {
    v1::Signature* signature = to.add_signatures();
    signature->set_key_id(from.key_id);
    signature->set_algorithm(from.algorithm);
    signature->set_signature(from.signature);
    signature->set_public_key(from.public_key);
  }
  return to.SerializeAsString();
}

Result<crypto::Envelope> ParseEnvelope(std::span<const uint8_t> bytes, uint64_t limit) {
  if (bytes.size() > limit) {
    return Field("envelope")
        .Bad(fmt::format("{} bytes", bytes.size()), fmt::format("at most {}", limit),
             StatusCode::kResourceExhausted);
  }
  BCTX_RETURN_IF_ERROR(
      CheckWire(bytes, kEnvelopeRule, 4 * crypto::kMaxSignatures).WithContext("envelope"));
  v1::Envelope from;
  if (!from.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Field("envelope").Bad("bytes that do not parse", "an envelope");
  }
  crypto::Envelope envelope;
  envelope.payload_type = from.payload_type();
  for (const v1::Signature& signature : from.signatures()) {
    envelope.signatures.push_back(
        {signature.key_id(), signature.algorithm(), signature.signature(), signature.public_key()});
  }
  return envelope;
}

}  // namespace backendctx::manifest
