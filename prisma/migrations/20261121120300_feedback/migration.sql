-- AlterTable
ALTER TABLE "conversations" ADD COLUMN     "erased_at" TIMESTAMPTZ(6);

-- CreateTable
CREATE TABLE "conversation_feedback" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "organization_id" UUID NOT NULL,
    "conversation_id" UUID NOT NULL,
    "turn" INTEGER,
    "rating" INTEGER,
    "text" TEXT NOT NULL DEFAULT '',
    "user_id" UUID,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "conversation_feedback_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "conversation_feedback_conversation_id_created_at_id_idx" ON "conversation_feedback"("conversation_id", "created_at", "id");

-- AddForeignKey
ALTER TABLE "conversation_feedback" ADD CONSTRAINT "conversation_feedback_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- conversation_feedback
GRANT SELECT, INSERT, UPDATE, DELETE ON conversation_feedback TO voicegate_control, voicegate_system;
GRANT SELECT ON conversation_feedback TO voicegate_frontend;
ALTER TABLE conversation_feedback ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_the_organization ON conversation_feedback TO voicegate_control USING (organization_id = organization_of_request());
CREATE POLICY everything ON conversation_feedback TO voicegate_system, voicegate_frontend USING (true);
