## create

# makes a cluster and its node pools, some twenty minutes
# makes the GKE cluster fjdl-mnist, billed with its nodes from now on
# undone by: xpk cluster delete --cluster=fjdl-mnist --project=my-project --zone=us-central1-c --force
# lost with it: all jobs of the cluster; ten minutes
xpk cluster create --cluster=fjdl-mnist --tpu-type=tpu7x-8 --num-slices=1 --flex --project=my-project \
  --zone=us-central1-c


## sync

# removes what was packed before
rm -rf build/fjdl-mnist

# makes the folder of the container's files
mkdir -p build/fjdl-mnist

# packs the code, HEAD at 0123456789ab
git archive --format=tar --output=build/fjdl-mnist.tar 0123456789abcdef0123456789abcdef01234567

# unpacks it into the folder
tar -xf build/fjdl-mnist.tar -C build/fjdl-mnist


## run

# builds the container and starts the training on every machine
# SECRETS_FILE is a private file with the names of WANDB_API_KEY; it is removed afterwards and never printed
# makes the job fjdl-mnist in fjdl-mnist
# undone by: xpk workload delete --workload=fjdl-mnist --cluster=fjdl-mnist --project=my-project --zone=us-central1-c --force
# lost with it: what the run has not yet written to its bucket; a minute
xpk workload create --workload=fjdl-mnist --cluster=fjdl-mnist --tpu-type=tpu7x-8 --num-slices=1 \
  --project=my-project --zone=us-central1-c --base-docker-image=python:3.12 --script-dir=build/fjdl-mnist \
  --max-restarts=50 --termination-grace-period-seconds=120 --env-file=SECRETS_FILE \
  '--command=pip install -q -e '"'"'.[tpu]'"'"' && export JAX_PLATFORMS=tpu,cpu && python -m experiments.train configs/mnist_lenet.py --run-dir runs/fjdl-mnist --bucket gs://my-runs/runs/fjdl-mnist --precision bfloat16'


## logs

# lets kubectl talk to the cluster
gcloud container clusters get-credentials fjdl-mnist --project=my-project --location=us-central1

# follows the output of all machines; ctrl-c ends only that
kubectl logs --follow --prefix --all-containers --tail=50 --selector=jobset.sigs.k8s.io/jobset-name=fjdl-mnist \
  --max-log-requests=4


## fetch

# makes the folder of the run
mkdir -p runs/fjdl-mnist

# copies the run from the bucket
gcloud storage rsync --recursive --project=my-project gs://my-runs/runs/fjdl-mnist runs/fjdl-mnist


## delete

# ends the job
# the next command runs even if this one fails, as where there is nothing to delete
xpk workload delete --workload=fjdl-mnist --cluster=fjdl-mnist --project=my-project --zone=us-central1-c \
  --force

# deletes the cluster with its nodes
# the next command runs even if this one fails, as where there is nothing to delete
xpk cluster delete --cluster=fjdl-mnist --project=my-project --zone=us-central1-c --force

# looks whether the cluster is gone
# must print nothing, otherwise the cluster is still there and is billed
gcloud container clusters list --project=my-project --filter=name=fjdl-mnist '--format=value(name)'
