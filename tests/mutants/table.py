"""The mutants: one change each that makes the project wrong, and the tests that must notice."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A change of one file.

    Attributes:
        why: What is wrong then.
        file: Below the package.
        old: Text that stands in it exactly once.
        new: What replaces it.
        tests: Folders or files; those in ``tests/engine`` are here, all others in the project.
    """

    why: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


TASKS = ("tests/engine/tasks",)
STRUCTS, MODEL, METRICS = ("tests/structs",), ("tests/model",), ("tests/metrics",)
AUGMENT, DATA, CALLBACKS = ("tests/data/test_augment.py",), ("tests/data",), ("tests/callbacks",)
# The user's rooms, by what a project's own tests have no room for.
ROOMS = "tests/engine/rooms"
BY_HAND, FOLDER = (f"{ROOMS}/test_model.py", *MODEL), (f"{ROOMS}/test_data.py", *DATA)
BINS, PICTURES = (f"{ROOMS}/test_metrics.py", *METRICS), (f"{ROOMS}/test_callbacks.py", *CALLBACKS)
ENGINE_DATA, ENGINE_METRICS = ("tests/engine/data",), ("tests/engine/metrics",)
ENGINE_IMAGES = ("tests/engine/images",)
MODULE, INSTRUMENTS = ("tests/engine/module",), ("tests/engine/instruments",)
CHECKPOINTS = ("tests/engine/resume/test_checkpoints.py", "tests/engine/module")
KEEPS = ("tests/engine/resume/test_keeps_to_its_run.py", "tests/engine/resume/test_modes.py")
EXACT, LOAD = (
    ("tests/engine/resume/test_goes_on.py",),
    ("tests/engine/resume/test_load.py", "tests/engine/module/test_references.py"),
)
PREEMPTION = ("tests/engine/resume/test_told_to_stop.py",)
LOGGERS, RUNS = ("tests/engine/loggers",), ("tests/engine/runs",)
RANKS = ("tests/engine/data/test_sampler.py",)

MUTANTS = [
    # ------------------------------------------------------------------------------------------- structs
    Mutant(
        "a single image passes as a batch",
        "structs/example.py",
        "if self.image.ndim != 4:",
        "if self.image.ndim < 3:",
        STRUCTS,
    ),
    Mutant(
        "tokens that are filled up are read",
        "structs/example.py",
        "ids[mask].tolist()",
        "ids.tolist()",
        STRUCTS,
    ),
    Mutant(
        "a floating image is cut down", "structs/example.py", "* 255).round().clamp", "* 255).clamp", STRUCTS
    ),
    Mutant(
        "the weights of the terms do not count",
        "structs/loss.py",
        "self.weights.get(name, 1.0) * term for",
        "term for",
        STRUCTS,
    ),
    Mutant("the loss keeps its graph", "structs/loss.py", "term.detach() for", "term for", STRUCTS),
    Mutant(
        "entropy in bits",
        "engine/tasks/multiclass.py",
        "xlogy(self.probs, self.probs).sum(dim=1))",
        "xlogy(self.probs, self.probs).sum(dim=1) / math.log(2))",
        TASKS,
    ),
    Mutant(
        "uncertainty is not normalised",
        "engine/tasks/multiclass.py",
        "self.entropy / math.log(max(self.num_outputs, 2))",
        "self.entropy",
        TASKS,
    ),
    Mutant(
        "confidence of the least probable class",
        "engine/tasks/multiclass.py",
        "self.probs.amax(dim=1)",
        "self.probs.amin(dim=1)",
        TASKS,
    ),
    Mutant(
        "probabilities in half precision",
        "engine/tasks/multiclass.py",
        "self.logits.float().log_softmax(dim=1)",
        "self.logits.log_softmax(dim=1)",
        TASKS,
    ),
    Mutant(
        "a binary model predicts the other class",
        "engine/tasks/binary.py",
        "torch.stack([-logits, logits], dim=1)",
        "torch.stack([logits, -logits], dim=1)",
        TASKS,
    ),
    # --------------------------------------------------------------------------------------------- tasks
    Mutant(
        "one-hot targets pass",
        "engine/tasks/multiclass.py",
        "if tuple(target.shape) != expected or target.is_floating_point():",
        "if target.is_floating_point():",
        TASKS,
    ),
    Mutant(
        "the first pixel is the whole image",
        "engine/tasks/shared.py",
        "values.flatten(1).mean(dim=1)",
        "values.flatten(1)[:, 0]",
        TASKS,
    ),
    Mutant(
        "a row of labels loses its mean",
        "engine/tasks/multilabel.py",
        "return losses.mean(dim=1)",
        "return losses.sum(dim=1)",
        TASKS,
    ),
    Mutant(
        "values are broadcast against targets",
        "engine/tasks/regression.py",
        "check_shape(target, self.values)",
        "pass",
        TASKS,
    ),
    Mutant(
        "the background is painted",
        "engine/overlay.py",
        "(classes > 0)[:, None]",
        "(classes >= 0)[:, None]",
        ("tests/engine/test_overlay.py",),
    ),
    Mutant(
        "texts of another length are counted with their zeros",
        "engine/metrics/split.py",
        "key = *example.shapes.items(), None, *prediction.shapes.items()",
        "key = ()",
        ENGINE_METRICS,
    ),
    Mutant(
        "pixels are fed as they are stored",
        "engine/metrics/select.py",
        "values.float() / 255 if",
        "values.float() if",
        ENGINE_METRICS,
    ),
    Mutant(
        "a part follows the loss of another",
        "engine/module/parts.py",
        "loss.terms[name], inputs=own",
        "loss.total, inputs=own",
        MODULE,
    ),
    Mutant(
        "a part steps before the others' gradients are taken",
        "engine/module/parts.py",
        "retain_graph=not is_last)",
        "retain_graph=not is_last)\n        optimizers[number].step()",
        MODULE,
    ),
    Mutant(
        "what is given is replaced by the data's",
        "engine/config/linking.py",
        "if name not in self._linked | given and",
        "if name not in self._linked and",
        ("tests/engine/config",),
    ),
    Mutant(
        "rare classes are left out of a stratified part",
        "engine/data/split.py",
        "(shares - taken).argsort(descending=True, stable=True)",
        "sizes.argsort(descending=True, stable=True)",
        ENGINE_DATA,
    ),
    # --------------------------------------------------------------------------------------------- model
    Mutant(
        "ranking changes the criterion that trains",
        "model/base.py",
        "criterion = copy(self.criterion)",
        "criterion = self.criterion",
        (*MODEL, *CALLBACKS),
    ),
    Mutant(
        "the data's statistics are not used",
        "model/resnet.py",
        "self.normalize.set_statistics(mean, std)",
        "pass",
        BY_HAND,
    ),
    Mutant(
        "pixels are not scaled",
        "model/normalize.py",
        "scale = (1 / (255 * self.std))",
        "scale = (1 / self.std)",
        MODEL,
    ),
    Mutant(
        "the mean is added",
        "model/normalize.py",
        "shift = (-self.mean / self.std)",
        "shift = (self.mean / self.std)",
        MODEL,
    ),
    Mutant("pixels are rounded down", "model/normalize.py", "* 255).round().clamp", "* 255).clamp", MODEL),
    Mutant("no residual", "model/resnet.py", "return x + self.body(x)", "return self.body(x)", BY_HAND),
    Mutant(
        "only a corner of the features counts",
        "model/resnet.py",
        "features.mean(dim=(2, 3))",
        "features[:, :, 0, 0]",
        BY_HAND,
    ),
    # ---------------------------------------------------------------------------------------------- data
    Mutant(
        "each epoch is augmented alike",
        "data/augment.py",
        "(seed * 0x10001 + epoch + 1)",
        "(seed * 0x10001 + 1)",
        AUGMENT,
    ),
    Mutant(
        "augmentation ignores the seed",
        "data/augment.py",
        "(seed * 0x10001 + epoch + 1)",
        "(epoch + 1)",
        AUGMENT,
    ),
    Mutant(
        "nothing is mirrored",
        "data/augment.py",
        "draws[2, :, None] < 0.5",
        "draws[2, :, None] < 1.5",
        AUGMENT,
    ),
    Mutant(
        "crops in one direction",
        "data/augment.py",
        "+ 1)).long() - self.padding",
        "+ 1)).long()",
        AUGMENT,
    ),
    Mutant(
        "the border is repeated",
        "data/augment.py",
        "return (size - 1) - ((size - 1) - position.abs()).abs()",
        "return position.clamp(0, size - 1)",
        AUGMENT,
    ),
    Mutant(
        "training images are not augmented",
        "data/images.py",
        "return self.augment(batch, seed=self.seed, epoch=epoch) if self.augment else batch",
        "return batch",
        DATA,
    ),
    Mutant(
        "the deviation is off",
        "data/images.py",
        "/ counts.sum(dim=1) - mean.square()",
        "/ counts.sum(dim=1)",
        DATA,
    ),
    Mutant(
        "statistics of half the images",
        "data/images.py",
        "max(1, len(train) // STATISTICS_SAMPLE)",
        "max(2, len(train) // STATISTICS_SAMPLE)",
        DATA,
    ),
    Mutant(
        "targets out of range pass",
        "data/images.py",
        "check_classes(targets, self.num_classes)",
        "pass",
        DATA,
    ),
    Mutant(
        "test images are training images",
        "data/digits.py",
        "self.seed)[split])}",
        'self.seed)["train"])}',
        DATA,
    ),
    Mutant(
        "classes are in another order",
        "data/image_folder.py",
        "in train.iterdir() if _is_class(path))",
        "in train.iterdir() if _is_class(path))[::-1]",
        DATA,
    ),
    Mutant(
        "a changed file keeps its old pixels",
        "data/image_folder.py",
        'f"\\0{state.st_size}\\0{state.st_mtime_ns}\\n"',
        '"\\n"',
        FOLDER,
    ),
    Mutant(
        "colours as pixels",
        "data/cifar10.py",
        ".permute(0, 3, 1, 2).flatten(1)",
        ".flatten(1)",
        DATA,
    ),
    # ------------------------------------------------------------------------------- metrics and callbacks
    Mutant(
        "bins weigh alike in UCE and ECE",
        "metrics/calibration.py",
        "(errors - uncertainty).abs().sum() / count.sum()",
        "((errors - uncertainty).abs() / count.clamp_min(1)).sum() / len(count)",
        METRICS,
    ),
    Mutant(
        "ECE by confidence for its opposite",
        "metrics/calibration.py",
        "known.uncertainty, 1 - known.confidence",
        "known.uncertainty, known.confidence",
        METRICS,
    ),
    Mutant(
        "an uncertainty of 1 goes to the first bin",
        "metrics/calibration.py",
        ".long().clamp(0, num_bins - 1)",
        ".long() % num_bins",
        BINS,
    ),
    Mutant(
        "only the last batch is in the bins",
        "metrics/calibration.py",
        "self.bins += torch.stack(bins)",
        "self.bins = torch.stack(bins)",
        METRICS,
    ),
    Mutant(
        "the confusion is transposed",
        "metrics/confusion.py",
        "return self.counts",
        "return self.counts.T",
        METRICS,
    ),
    Mutant(
        "only the last batch is confused",
        "metrics/confusion.py",
        "self.counts.view(-1)",
        "self.counts.zero_().view(-1)",
        METRICS,
    ),
    Mutant(
        "the table is in the order of arrival",
        "callbacks/predictions.py",
        "rows.sort(key=lambda row: -1 if row[0] is None else row[0])",
        "pass",
        PICTURES,
    ),
    Mutant(
        "the table has an entropy that is normalised",
        "engine/tasks/multiclass.py",
        '"entropy": self.entropy',
        '"entropy": self.uncertainty',
        TASKS,
    ),
    Mutant(
        "the worst are called the best",
        "callbacks/top_k_images.py",
        'zip(("worst", "best"), computed',
        'zip(("best", "worst"), computed',
        CALLBACKS,
    ),
    Mutant(
        "training's pictures show all steps before",
        "callbacks/top_k_images.py",
        '"train", trainer, pl_module)\n            self._train = TopBottomK(self.k)',
        '"train", trainer, pl_module)',
        PICTURES,
    ),
    Mutant(
        "the title's ECE is the UCE",
        "callbacks/error_vs_entropy.py",
        "ece=float(calibration_error(by_confidence))",
        "ece=float(calibration_error(by_entropy))",
        PICTURES,
    ),
    # -------------------------------------------------------------------------------------- engine: data
    Mutant(
        "the seed is ignored",
        "engine/data/base.py",
        " if self._seed is None else self._seed",
        "",
        ENGINE_DATA,
    ),
    Mutant(
        "nothing is shuffled",
        "engine/data/base.py",
        "shuffle = self.shuffle and not is_overfitting(self.trainer)",
        "shuffle = False",
        ENGINE_DATA,
    ),
    Mutant(
        "training sees what is held out",
        "engine/data/base.py",
        'return train.subset(rows["train"]), {',
        "return train, {",
        ENGINE_DATA,
    ),
    Mutant(
        "the last batch is dropped", "engine/data/base.py", "drop=self.drop_last", "drop=True", ENGINE_DATA
    ),
    Mutant(
        "validation is augmented",
        "engine/data/base.py",
        "self.trainer.training",
        "(self.trainer.training or self.trainer.validating)",
        (*ENGINE_DATA, *DATA),
    ),
    Mutant(
        "each epoch is augmented as the first",
        "engine/data/base.py",
        "self.change(batch, epoch=self.trainer.current_epoch)",
        "self.change(batch, epoch=0)",
        (*ENGINE_DATA, *DATA),
    ),
    Mutant(
        "a resumed run begins its epoch anew",
        "engine/data/base.py",
        "loader.sampler.resume(*max(self._resumed, _position(self.trainer, len(loader))))",
        "pass",
        EXACT,
    ),
    Mutant(
        "a position counted in other batches is taken",
        "engine/data/loaders.py",
        'if state["batches"] != len(self):',
        "if False:",
        (*ENGINE_DATA, *EXACT),
    ),
    Mutant(
        "each rank gets the same examples",
        "engine/data/sampler.py",
        "batch[self.rank :: self.world_size]",
        "batch[:: self.world_size]",
        RANKS,
    ),
    Mutant(
        "the order ignores the seed",
        "engine/data/sampler.py",
        "self.seed * 1_000_003 + self.epoch",
        "self.epoch",
        ENGINE_DATA,
    ),
    Mutant(
        "each epoch has the same order",
        "engine/data/sampler.py",
        "self.seed * 1_000_003 + self.epoch",
        "self.seed * 1_000_003",
        ENGINE_DATA,
    ),
    Mutant(
        "the sampler leaves out a batch",
        "engine/data/sampler.py",
        "for number in range(first, len(self)):",
        "for number in range(first, max(1, len(self) - 1)):",
        ENGINE_DATA,
    ),
    Mutant(
        "batches that were seen are seen again",
        "engine/data/sampler.py",
        "first, self._skip = self._skip, 0",
        "first, self._skip = 0, 0",
        (*ENGINE_DATA, *EXACT),
    ),
    Mutant(
        "parts overlap",
        "engine/data/split.py",
        "pieces = order.split(list(counts.values()))",
        "pieces = [order[:count] for count in counts.values()]",
        ENGINE_DATA,
    ),
    Mutant(
        "each seed splits alike", "engine/data/split.py", "manual_seed(seed)", "manual_seed(0)", ENGINE_DATA
    ),
    Mutant(
        "a damaged cache is used",
        "engine/images/cache.py",
        "return pixels if trailer == _trailer(pixels) else None",
        "return pixels",
        ENGINE_IMAGES,
    ),
    Mutant(
        "positions of a subset for those of the data",
        "engine/data/examples.py",
        '{"index": self.index[chosen]}',
        '{"index": chosen}',
        ENGINE_DATA,
    ),
    Mutant(
        "photos lie on their side",
        "engine/images/image_files.py",
        "return image if turn is None else image.transpose(turn)",
        "return image",
        ENGINE_IMAGES,
    ),
    # ----------------------------------------------------------------------------------- engine: metrics
    Mutant(
        "a mean without weights",
        "engine/metrics/mean.py",
        "(values * weights.to(values)).sum()",
        "values.sum()",
        ENGINE_METRICS,
    ),
    Mutant(
        "repeated examples are counted",
        "engine/metrics/padding.py",
        "return min(max(own - batch_idx * loader.batch_size, 0), size)",
        "return size",
        ENGINE_METRICS,
    ),
    Mutant(
        "a config's argument is overruled",
        "engine/metrics/select.py",
        "cls(**{**filled, **given})",
        "cls(**{**given, **filled})",
        ENGINE_METRICS,
    ),
    Mutant(
        "the buffer's rest is lost",
        "engine/metrics/split.py",
        "        self.flush()\n        losses = {",
        "        losses = {",
        ENGINE_METRICS,
    ),
    Mutant(
        "the last batch of the buffer is lost",
        "engine/metrics/split.py",
        "for example, prediction in self._buffer:",
        "for example, prediction in self._buffer[:-1] or self._buffer:",
        ENGINE_METRICS,
    ),
    Mutant(
        "the buffer grows without end",
        "engine/metrics/split.py",
        "if len(self._buffer) >= MAX_BATCHES or self._num_bytes >= self.max_bytes:",
        "if False:",
        ENGINE_METRICS,
    ),
    Mutant(
        "each epoch's numbers hold those before",
        "engine/metrics/split.py",
        "        self.losses.clear()\n        self.metrics.reset()",
        "        pass",
        (*ENGINE_METRICS, *MODULE),
    ),
    Mutant(
        "small batches weigh as much as large ones",
        "engine/metrics/split.py",
        "torch.tensor(sizes, dtype=torch.float32)",
        "torch.ones(len(sizes))",
        (*ENGINE_METRICS, *MODULE),
    ),
    Mutant(
        "a set that is for show counts",
        "engine/metrics/val.py",
        "return [*own, self.counted] if counts else own",
        "return [*own, self.counted]",
        (*ENGINE_METRICS, *MODULE),
    ),
    # ------------------------------------------------------------------------------------ engine: module
    Mutant(
        "targets of the training metrics are one class off",
        "engine/module/base.py",
        "self.numbers.train_split.append(batch, prediction, loss)",
        "off = batch.map(lambda value: (value + 1) % 3 if value.ndim == 1 else value)\n"
        "        self.numbers.train_split.append(off, prediction, loss)",
        MODULE,
    ),
    Mutant(
        "the logged loss is that of one batch",
        "engine/module/window.py",
        "return torch.stack(losses).mean()",
        "return losses[-1]",
        MODULE,
    ),
    Mutant(
        "the loss is logged a step late",
        "engine/module/base.py",
        "every and (step % every == 0 or",
        "every and (step % every == 1 % every or",
        MODULE,
    ),
    Mutant(
        "what is left of the window is not logged",
        "engine/module/base.py",
        "        self._log_window(self.trainer.fit_loop.batch_idx)\n        self._log_split",
        "        self._log_split",
        MODULE,
    ),
    Mutant(
        "a loss that is NaN passes",
        "engine/module/window.py",
        "if not (bad := (~losses.isfinite()).nonzero()[:1].tolist()):",
        "if True or (bad := []):",
        MODULE,
    ),
    Mutant(
        "weights that are NaN are saved",
        "engine/module/window.py",
        "if value.is_floating_point() and not value.isfinite().all():",
        "if False:",
        CHECKPOINTS,
    ),
    Mutant(
        "the first learning rate is logged for all",
        "engine/module/optimizers.py",
        'float(group["lr"])',
        'float(optimizer.defaults["lr"])',
        MODULE,
    ),
    Mutant(
        "validation logs nothing",
        "engine/module/base.py",
        "for split in self.numbers.val_splits.all:",
        "for split in []:",
        MODULE,
    ),
    Mutant(
        "a test logs nothing",
        "engine/module/base.py",
        "self._log_split(self.numbers.test_split)",
        "pass",
        MODULE,
    ),
    Mutant(
        "a resumed run forgets the epoch's numbers",
        "engine/module/base.py",
        'self.numbers.restore(ranks[self.trainer.global_rank]["metrics"], self.device)',
        "pass",
        EXACT,
    ),
    Mutant(
        "a resumed run forgets the window",
        "engine/module/base.py",
        'self._window.load_state(ranks[self.trainer.global_rank]["window"], self.device)',
        "pass",
        EXACT,
    ),
    Mutant(
        "biases are decayed",
        "engine/module/optimizers.py",
        '"params": others, "weight_decay": 0.0}',
        '"params": others}',
        MODULE,
    ),
    Mutant(
        "the schedule is too long",
        "engine/module/optimizers.py",
        "{name: num_steps() for name",
        "{name: 2 * num_steps() for name",
        MODULE,
    ),
    Mutant(
        "the schedule moves each epoch",
        "engine/module/optimizers.py",
        '"scheduler": schedule, "interval": "step"',
        '"scheduler": schedule, "interval": "epoch"',
        MODULE,
    ),
    # ------------------------------------------------------------------------------- engine: instruments
    Mutant(
        "the sanity check is shown",
        "engine/instruments/base.py",
        "if trainer.sanity_checking:",
        "if False:",
        INSTRUMENTS,
    ),
    Mutant(
        "the last epoch is not shown",
        "engine/instruments/base.py",
        " or epoch == trainer.max_epochs",
        "",
        INSTRUMENTS,
    ),
    Mutant(
        "all sets are one",
        "engine/instruments/base.py",
        'f"val/{sets[dataloader_idx]}" if len(sets) > 1 else "val"',
        '"val"',
        (*INSTRUMENTS, *CALLBACKS),
    ),
    Mutant(
        "the lowest come first",
        "engine/instruments/top_k.py",
        "argsort(descending=True, stable=True)",
        "argsort(descending=False, stable=True)",
        INSTRUMENTS,
    ),
    Mutant(
        "only the highest are kept",
        "engine/instruments/top_k.py",
        "torch.cat([order[: self.k], order[-self.k :]])",
        "order[: 2 * self.k]",
        INSTRUMENTS,
    ),
    # ------------------------------------------------------------------------------------ engine: resume
    Mutant(
        "the worst epoch is called the best",
        "engine/resume/checkpoints.py",
        "            mode=mode,\n",
        '            mode="max" if mode == "min" else "min",\n',
        CHECKPOINTS,
    ),
    Mutant(
        "an epoch is not saved",
        "engine/resume/checkpoints.py",
        '            self._save(trainer, f"epoch-{epoch:04d}")\n        self._save(trainer, "last")',
        '            self._save(trainer, f"epoch-{epoch:04d}")',
        CHECKPOINTS,
    ),
    Mutant(
        "checkpoints are not replaced at once",
        "engine/resume/checkpoints.py",
        'with replacing(path, on_disk=True) as partial, partial.open("wb") as file:',
        'with path.open("wb") as file:',
        CHECKPOINTS,
    ),
    Mutant(
        "last.ckpt is written a step late",
        "engine/resume/checkpoints.py",
        "due = batch_idx and step % every == 0 and",
        "due = batch_idx and (step - 1) % every == 0 and",
        CHECKPOINTS,
    ),
    Mutant(
        "torch's random numbers begin anew",
        "engine/resume/random_state.py",
        'torch.set_rng_state(state["torch"])',
        "pass",
        EXACT,
    ),
    Mutant(
        "Python's random numbers begin anew",
        "engine/resume/random_state.py",
        'random.setstate(state["python"])',
        "pass",
        EXACT,
    ),
    Mutant(
        "NumPy's random numbers begin anew",
        "engine/resume/random_state.py",
        'np.random.set_state(state["numpy"])',
        "pass",
        EXACT,
    ),
    Mutant(
        "what is frozen is forgotten",
        "engine/resume/modes.py",
        "parameter.requires_grad = name not in frozen",
        "pass",
        KEEPS,
    ),
    Mutant(
        "a run that stopped early trains on",
        "engine/resume/checkpoints.py",
        "if self.ended_by.startswith(EARLY):",
        "if False:",
        KEEPS,
    ),
    Mutant(
        "the last steps are not validated",
        "engine/resume/checkpoints.py",
        "trainer.should_stop = True  # otherwise",
        "pass  # otherwise",
        KEEPS,
    ),
    Mutant(
        "the best of a moved run is forgotten",
        "engine/resume/checkpoints.py",
        'if Path(moved["best_model_path"]).is_file():',
        'if self.dirpath == state_dict["dirpath"]:',
        KEEPS,
    ),
    Mutant(
        "another run is gone on with",
        "engine/resume/same_run.py",
        "!= before:",
        "is None:",
        KEEPS,
    ),
    Mutant(
        "a checkpoint inside an accumulated step",
        "engine/resume/checkpoints.py",
        "return batch_idx % trainer.accumulate_grad_batches != 0",
        "return False",
        KEEPS,
    ),
    Mutant(
        "a test is made twice",
        "engine/resume/restoring.py",
        "if not cast(RunFolderLogger, trainer.logger).has_test(step):",
        "if True:",
        KEEPS,
    ),
    Mutant(
        "weights are not checked",
        "engine/resume/load.py",
        "    if differing:\n",
        "    if False:\n",
        LOAD,
    ),
    Mutant(
        "a checkpoint may run code", "engine/resume/load.py", "weights_only=True", "weights_only=False", LOAD
    ),
    Mutant(
        "a loaded model is in training mode",
        "engine/resume/load.py",
        "return model.eval()",
        "return model",
        LOAD,
    ),
    Mutant(
        "a run that is asked to go does not save",
        "engine/resume/preemption.py",
        "callback.save_between_batches(trainer)",
        "pass",
        PREEMPTION,
    ),
    Mutant(
        "a job is not queued again",
        "engine/resume/preemption.py",
        '", queued again" if requeue() else ""',
        '""',
        PREEMPTION,
    ),
    # -------------------------------------------------------------------------- engine: run folder and runs
    Mutant(
        "a test is logged at step 0",
        "engine/loggers/run_folder.py",
        '"step": (step or 0) + self.first_step,',
        '"step": step or 0,',
        LOGGERS,
    ),
    Mutant(
        "a resumed run drops the test",
        "engine/loggers/run_folder.py",
        'if int(row["step"]) < step or _is_test(row)]',
        'if int(row["step"]) < step]',
        LOGGERS,
    ),
    Mutant(
        "a resumed run logs a step twice",
        "engine/loggers/run_folder.py",
        'if int(row["step"]) < step or',
        'if int(row["step"]) <= step or',
        LOGGERS,
    ),
    Mutant("numbers are cut to four digits", "engine/loggers/run_folder.py", ":.7g}", ":.4g}", LOGGERS),
    Mutant(
        "a file is not replaced at once",
        "engine/runs/files.py",
        "partial.replace(path)",
        "path.write_bytes(partial.read_bytes())",
        RUNS,
    ),
    Mutant(
        "the first run is called latest",
        "engine/runs/folder.py",
        "return runs[-1].parent\n",
        "return runs[0].parent\n",
        RUNS,
    ),
    Mutant(
        "a run that has numbers is thrown away",
        "engine/runs/folder.py",
        "is_rank_zero() and not (run / METRICS).exists() and",
        "is_rank_zero() and",
        RUNS,
    ),
    Mutant(
        "the best checkpoint is asked for, the last is given",
        "engine/runs/folder.py",
        'for name in (prefer, "last", "best"):',
        'for name in ("last", "best"):',
        RUNS,
    ),
    Mutant(
        "the tasks of an array share a folder",
        "engine/runs/job.py",
        'f"{array}_{task}" if array else',
        "array if array else",
        RUNS,
    ),
]
