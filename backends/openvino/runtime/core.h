// OpenVINO in this process: one core, and its words made fit for one line.
#pragma once

#include <exception>
#include <openvino/openvino.hpp>
#include <string>

#include "common/options.h"

namespace backendctx::openvino {

// Made when first used and never destroyed: OpenVINO's threads outlive a process's static objects.
ov::Core& Core();

ov::AnyMap ToProperties(const Pairs& pairs);
// With its graph as plain text, both ways: OpenVINO's own form is a fixed XOR, which protects
// nothing and hides the offsets that a loader replaces.
void AddPlainText(ov::AnyMap* properties);

// The label of what this process exports and imports, of a model made for the purpose.
std::string OwnLabel();

// What OpenVINO threw: without source places and line ends.
std::string Words(const std::exception& exception);

}  // namespace backendctx::openvino
