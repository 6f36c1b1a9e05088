# Weights & Biases: what `make help` lists of it. The project's Makefile includes this file where it is there.

WANDB_SERVER := $(subst _,-,$(PACKAGE))-wandb
WANDB_PORT ?= 8080
# For the images of make/docker.mk. The address must be one that a container reaches: 127.0.0.1 is itself.
RUN_ENV += --env WANDB_BASE_URL --env WANDB_API_KEY

.PHONY: runs wandb-server wandb-server-stop wandb-check wandb-sync

runs: $(READY) ## look at the runs that were logged for Weights & Biases, in the terminal
	@sh $(PACKAGE)/engine/wandb/runs.sh $(BIN)/wandb runs

wandb-server: ## start a Weights & Biases server on this machine, in docker
	@PYTHON=$(PYTHON) sh $(PACKAGE)/engine/wandb/server.sh start $(WANDB_SERVER) $(WANDB_PORT)

wandb-server-stop: ## stop it; its data stays
	@sh $(PACKAGE)/engine/wandb/server.sh stop $(WANDB_SERVER) $(WANDB_PORT)

wandb-check: $(READY) ## ask the Weights & Biases server that is configured
	@$(BIN)/python -m $(PACKAGE).engine.wandb check

wandb-sync: $(READY) ## upload the runs that it does not have
	@$(BIN)/python -m $(PACKAGE).engine.wandb sync
