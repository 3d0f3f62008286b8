"""Dialogue acts: what an utterance does, apart from what it is about. Pure."""

import re
from enum import Enum, auto

from pipeline.adapters.local.words import clean


class Act(Enum):
    YES = auto()
    NO = auto()
    CANCEL = auto()
    CORRECT = auto()
    REPEAT = auto()
    WAIT = auto()
    BYE = auto()
    THANKS = auto()
    HELLO = auto()
    HOW_ARE_YOU = auto()
    WHO = auto()
    HELP = auto()
    MORE = auto()
    ANY = auto()
    JOKE = auto()
    UPSET = auto()
    LOUDER = auto()
    PRESENT = auto()
    FILLER = auto()


_PATTERNS: dict[Act, str] = {
    Act.YES: r"^(um |well |oh |and |so )*(yes|yeah|yep|yup|ya|sure|certainly|absolutely|definitely|correct|right"
    r"|that is (right|correct|fine|it|great|perfect|good)|please do|go ahead|go on then|exactly|perfect|fine|great"
    r"|ok|okay|alright|all right|of course|sounds good|sounds great|sounds fine|works for me|that works|do it"
    r"|book it|i do|i would|i think so|why not|lovely|wonderful|yes please)\b(?! (much|well))",
    Act.NO: r"^(um |well |oh |and |so )*(no|nope|nah|not really|not (right )?now|not yet|not today|wrong"
    r"|that is (wrong|not right|not it|all)|incorrect|i do not think so|do not|nothing|i am (good|fine|all right|okay)$"
    r"|that will be all|that would be all|neither|none)\b",
    Act.CANCEL: r"\b(cancel( that| it)?$|forget (it|that|about it)|never ?mind|stop that|leave it|scrap that"
    r"|do not bother|changed my mind|do not want (to|it|that) (anymore|any more)|start (over|again))\b",
    Act.CORRECT: r"\b(i mean(t)?|i said|actually|no not|not .{2,20} but|sorry (make|i)|make (it|that)|change (it|that"
    r"|the|my)|instead|rather|correction|should be|can we (do|say|make)|could we (do|say|make)|switch)\b",
    Act.REPEAT: r"\b(say (that|it)( (again|once more))|what did you( just)? say|repeat( that)?|pardon|come again"
    r"|(did not|could not|can not) (quite )?(catch|hear|get)( that| you| what)?|one more time|what was that"
    r"|(sorry|excuse me) what|i beg your pardon|again please|say again)\b|^(sorry|what|huh)$",
    Act.WAIT: r"\b(hold on|hang on|one (moment|second|sec)|just a (moment|second|minute|sec)|wait a|bear with me"
    r"|give me a (moment|second|minute|sec)|let me (think|check|see))\b|^wait$",
    Act.BYE: r"\b(good ?bye|bye( bye)?|see you|have a (nice|good|lovely|great)|that is (all|everything)"
    r"|that will be all|that would be all|hang up|end the call|i (have|ve) got to go|talk (to you )?(later|soon)"
    r"|i am done|we are done|nothing else|cheers then|good ?night)\b",
    Act.THANKS: r"\b(thank you|thanks|cheers|much appreciated|appreciate (it|that)|thank)\b",
    Act.HELLO: r"^(oh )?(hello|hi|hey|hiya|good (morning|afternoon|evening|day)|greetings)\b",
    Act.HOW_ARE_YOU: r"\bhow (are you|is it going|are things|do you do|is your day|have you been)\b",
    Act.WHO: r"\b(who (are you|am i (speaking|talking)|is (this|that|speaking))|what is your name|your name( again)?$"
    r"|are you (a |an )?(robot|bot|human|real|machine|computer|person|ai|artificial)\b(?! rec)"
    r"|(am i|i am) (talking|speaking) (to|with) (a |an )?(robot|bot|human|real|machine|computer|person|ai))\b",
    Act.HELP: r"\b(what (can|do|could) you (do|help)|how (can|could) you help|what are my options|help me$|^help$"
    r"|what (can|could|should) i (ask|say|do)|i need (some )?help$|not sure what (to ask|i want))\b",
    Act.MORE: r"\b(tell me more|more (detail|details|about (it|that|this))|go on|say more"
    r"|what else (about|can you tell)|anything else about|in more detail|explain( that)?)\b",
    Act.ANY: r"\b(any(thing)?( is| would be)?( fine| ok| okay| will do| at all)?$|do not (mind|care|know)"
    r"|does not matter|no preference|not sure|whatever|either( one)?( is fine)?$|open to|up to you|not fussed"
    r"|no limit|no budget|no idea|you (choose|pick))\b",
    Act.JOKE: r"\b(tell|know|say|hear) (me )?(a|any|another) (joke|jokes|something funny)\b",
    Act.UPSET: r"\b(useless|stupid|terrible|rubbish|ridiculous|frustrat\w*|annoy\w*|shut up|idiot|waste of time"
    r"|not (listening|helping|helpful)|damn|bloody hell|fed up|complain\w*)\b",
    Act.LOUDER: r"\b((speak|talk)( a (bit|little))?( more)? (louder|up|slower|slowly|clearly)|too (quiet|fast|quick)"
    r"|slow down|louder please)\b",
    Act.PRESENT: r"\b(are you (still )?there|can you hear me|do you hear me|anybody there|is anyone there)\b",
    Act.FILLER: r"^(((ha|he)(ha|he)+|um|uh|er|so|well|right|and|mm|hmm|mhm|uh huh|i see|ah|oh|okay so) ?)+$",
}
_COMPILED = {act: re.compile(pattern) for act, pattern in _PATTERNS.items()}
_SPACE = re.compile(r"[^a-z0-9' ]+")


def acts(text: str) -> frozenset[Act]:
    """Every act the words allow; the dialogue's state decides which one counts."""
    flat = " ".join(_SPACE.sub(" ", clean(text)).split())
    return frozenset(act for act, pattern in _COMPILED.items() if pattern.search(flat))
