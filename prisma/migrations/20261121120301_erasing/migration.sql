-- AlterTable
ALTER TABLE "idempotency_keys" ADD COLUMN     "about" UUID;

-- CreateIndex
CREATE INDEX "agent_runs_conversation_id_idx" ON "agent_runs"("conversation_id");

-- CreateIndex
CREATE INDEX "idempotency_keys_about_idx" ON "idempotency_keys"("about");
