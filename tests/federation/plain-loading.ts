/**
 * Programs of people who know nothing of OneFlower: each loads a model in its plain framework, and fails where that is
 * not the model of the .npz file.
 */

/** MODEL.pt MODEL.npz, with `pytorch_network.py` of the app, the one file of ours that such a model goes with. */
export const loadsImages = `
import sys, numpy, torch
from pytorch_network import network
model, arrays = torch.load(sys.argv[1], weights_only=True), numpy.load(sys.argv[2])
assert sorted(model) == sorted(arrays.files)
for name, tensor in model.items():
    numpy.testing.assert_array_equal(tensor.numpy(), arrays[name])
classes, features = model["output.weight"].shape[0], model["full.weight"].shape[1]
side = 4 * round((features / 32) ** 0.5)
plain = network(side, side, model["conv1.weight"].shape[1], classes)
plain.load_state_dict(model)
logits = plain(torch.full((1, model["conv1.weight"].shape[1], side, side), 0.2))
assert logits.shape == (1, classes) and torch.isfinite(logits).all()
`;

/** MODEL.pt MODEL.npz */
export const loadsSensors = `
import sys, numpy, torch
model, arrays = torch.load(sys.argv[1], weights_only=True), numpy.load(sys.argv[2])
assert sorted([*model["state_dict"], "center", "width"]) == sorted(arrays.files)
for name, tensor in {**model["state_dict"], "center": model["center"], "width": model["width"]}.items():
    numpy.testing.assert_array_equal(tensor.numpy(), arrays[name])
assert len(model["columns"]) == len(model["center"])
`;

/** MODEL.keras MODEL.npz */
export const loadsKeras = `
import sys, keras, numpy
model, arrays = keras.saving.load_model(sys.argv[1]), numpy.load(sys.argv[2])
for weight, name in zip(model.get_weights(), arrays.files, strict=True):
    numpy.testing.assert_array_equal(weight, arrays[name])
assert numpy.isfinite(model.predict(numpy.full((1, *model.input_shape[1:]), 0.2), verbose=0)).all()
`;

/** ADAPTERS.tar.gz FOLDER-OF-BASE, in a folder where the archive is unpacked. */
export const loadsAdapters = `
import shutil, sys, torch
from pathlib import Path
from peft import PeftModel
from transformers import AutoModelForCausalLM
shutil.unpack_archive(sys.argv[1], "adapters", "gztar")
(config,) = Path("adapters").rglob("adapter_config.json")
tokens = torch.tensor([[257, 72, 105, 10]])
base = AutoModelForCausalLM.from_pretrained(sys.argv[2], dtype=torch.float32)
with torch.inference_mode():
    before = base(input_ids=tokens).logits
    after = PeftModel.from_pretrained(base, str(config.parent))(input_ids=tokens).logits
assert torch.isfinite(after).all() and not torch.equal(before, after)
`;
